/* Theory of operation
 *
 * A sample reads one stat file per process. Processes that earlier samples saw are kept in a table, so that a process
 * that is gone is noticed.
 *
 *     sampler_processes.c   which processes the run has
 *     sampler_memory.c      their memory
 *     sampler_cpu.c         their CPU time, also of those that are gone
 *     sampler_cores.c       how they compete with others for the cores; samples of its own, taken less often */
#define _GNU_SOURCE
#include "sampler.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "proctext.h"
#include "sampler_internal.h"
#include "sys.h"

#define HIDDEN_EVERY_US UINT64_C(8000)

void sampler_open(struct sampler *sampler, int proc) {
    memset(sampler, 0, offsetof(struct sampler, runnable)); /* of the tables the counts suffice: each run pays for this */
    sampler->proc = proc;
    sampler->page_bytes = sysconf(_SC_PAGESIZE);
    sampler->ticks_per_s = sysconf(_SC_CLK_TCK);
}

void sampler_open_tree(struct sampler *sampler, int proc, pid_t tree, pid_t ours) {
    sampler_open(sampler, proc);
    sampler->tree = tree;
    sampler->ours = ours;
}

/* Returns the table's entry of a process, a new one if there is none, or NULL when the table is full. */
static struct sampled *entry_of(struct sampler *sampler, pid_t pid) {
    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].pid == pid)
            return &sampler->seen[i];
    if (sampler->seen_count == SAMPLER_MAX_PROCESSES)
        return NULL;
    sampler->seen[sampler->seen_count] = (struct sampled){.pid = pid, .task = pid, .since_us = sampler->now_us};
    return &sampler->seen[sampler->seen_count++];
}

struct sampled *sampler_remember(struct sampler *sampler, pid_t pid, struct proctext_stat *figures) {
    struct sampled *entry = entry_of(sampler, pid);
    pid_t task = pid;

    if (entry == NULL)
        return NULL;
    entry->present = true;
    entry->cpu_us = sampler->loses ? sys_cpu_of_us(pid) : sampler_to_us(sampler, figures->own_ticks);
    entry->threads = figures->threads;
    entry->parent = figures->parent;
    entry->waiting = figures->state == 'D';
    if (figures->state == 'Z' && figures->threads > 1)
        task = sampler_living_task(sampler, pid, figures);
    if (task != 0) { /* 0: its threads changed while they were read, so the last figures stay */
        entry->task = task;
        entry->resident_bytes = figures->pages * (uint64_t)sampler->page_bytes;
        entry->virtual_bytes = figures->virtual_bytes;
    }
    if (sampler->ask_hidden)
        entry->hidden_bytes = sampler_hidden(sampler, entry);
    return entry;
}

struct pass {
    struct sampler *sampler;
    struct sample *sample;
    uint64_t with_children_us;
};

static void take_process(void *context, pid_t pid) {
    struct pass *pass = context;
    struct proctext_stat figures;

    if (!sampler_read_stat(pass->sampler, pid, pid, &figures))
        return;
    pass->sample->processes++;
    pass->sample->tasks += figures.threads;
    pass->with_children_us += sampler_to_us(pass->sampler, figures.own_ticks + figures.children_ticks);
    pass->sample->waited_us += sampler_to_us(pass->sampler, figures.children_ticks);
    (void)sampler_remember(pass->sampler, pid, &figures);
}

/* Marks all known processes as present. */
static void keep_all_present(struct sampler *sampler) {
    for (size_t i = 0; i < sampler->seen_count; i++)
        sampler->seen[i].present = true;
}

struct written {
    const struct sampler *sampler;
    uint64_t bytes;
};

static void add_written(void *context, pid_t pid) {
    struct written *written = context;
    char text[512];

    if (sampler_read_task(written->sampler, pid, pid, "io", text, sizeof text) > 0)
        written->bytes += proctext_number(text, "wchar:");
}

uint64_t sampler_written(struct sampler *sampler) {
    struct written written = {.sampler = sampler};

    (void)sampler_each_process(sampler, add_written, &written); /* if the list is incomplete, the sum is too */
    return written.bytes;
}

void sampler_take(struct sampler *sampler, uint64_t now_us, uint64_t memory_limit, struct sample *sample) {
    struct pass pass = {.sampler = sampler, .sample = sample};
    size_t known = sampler->seen_count;
    size_t listed;
    uint64_t tracked_us;

    memset(sample, 0, sizeof *sample);
    sampler->unseen_us = now_us - sampler->now_us + SAMPLER_MEAN_US;
    sampler->unseen_us -= sampler->planned_us < sampler->unseen_us ? sampler->planned_us : sampler->unseen_us;
    sampler->now_us = now_us;
    sampler->ask_hidden = now_us - sampler->hidden_us >= HIDDEN_EVERY_US;
    if (sampler->ask_hidden)
        sampler->hidden_us = now_us;
    if (!sampler_each_process(sampler, take_process, &pass))
        keep_all_present(sampler); /* an incomplete list does not show which processes are gone */
    sample->memory_bytes = sampler_memory(sampler, memory_limit);
    sampler_recheck_absent(sampler);
    listed = sampler->seen_count;
    tracked_us = sampler_remove_absent(sampler);
    sample->changed = listed != known || sampler->seen_count != known || sample->processes != known;
    pass.with_children_us += sampler->reaped_us;
    tracked_us += sampler->gone_cpu_us + sampler->waited_us;
    sample->cpu_us = tracked_us > pass.with_children_us ? tracked_us : pass.with_children_us;
}
