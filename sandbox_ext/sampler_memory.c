/* Theory of operation
 *
 * The memory of a run is the sum of the resident sets of its processes. Forked processes share pages, and the sum
 * counts a page once for each of them. When the sum of several processes is over the limit, the proportional sets (each
 * page divided by its users) are read, which are exact, but more expensive.
 *
 * Three kinds of memory are in no resident set. A process whose first thread has ended shows none, so one of its other
 * threads is read. Page tables (the only cost of memory that was only read) and swapped pages are in a more expensive
 * file, which is read every 8 ms at most. Shared memory that no process maps would be seen nowhere: the policy prevents
 * it.
 *
 * A vfork child has its parent's memory, not a copy. Every posix_spawn, so every system(), would count it twice. A
 * vfork child cannot be recognized for certain from outside. So the youngest child of a parent is taken for one while
 * its address space is as large as the parent's, and it is young or its parent waits. Then only its memory beyond the
 * parent's counts. A program that abuses this gains at most the limit once more. */
#define _GNU_SOURCE
#include <errno.h>

#include "proctext.h"
#include "sampler.h"
#include "sampler_internal.h"

#define YOUNG_US UINT64_C(64000)
#define TWIN_DIFFERENCE (UINT64_C(1) << 20) /* a parent that runs while we read it changes by about a stack */

struct search {
    const struct sampler *sampler;
    pid_t pid;
    pid_t task; /* the first that has memory, or 0 */
    struct proctext_stat *figures;
};

static void try_task(void *context, pid_t task) {
    struct search *search = context;
    struct proctext_stat stat;

    if (search->task != 0 || task == search->pid || !sampler_read_stat(search->sampler, search->pid, task, &stat) ||
        stat.pages == 0)
        return;
    search->task = task;
    search->figures->pages = stat.pages;
    search->figures->virtual_bytes = stat.virtual_bytes;
}

/* Returns a task with memory of a process whose first thread has ended, or 0. */
pid_t sampler_living_task(const struct sampler *sampler, pid_t pid, struct proctext_stat *figures) {
    struct search search = {.sampler = sampler, .pid = pid, .figures = figures};

    sampler_each_task(sampler->proc, pid, try_task, &search);
    return search.task;
}

/* Page tables of ordinary memory, twice a 512th of it and 1 MiB, do not count as hidden. */
uint64_t sampler_hidden(const struct sampler *sampler, const struct sampled *entry) {
    char text[2048];
    uint64_t bytes;
    uint64_t ordinary = entry->resident_bytes / 256 + (UINT64_C(1) << 20);

    if (sampler_read_task(sampler, entry->pid, entry->task, "status", text, sizeof text) <= 0)
        return 0;
    bytes = proctext_bytes(text, "VmPTE:") + proctext_bytes(text, "VmSwap:");
    return bytes > ordinary ? bytes - ordinary : 0;
}

/* Returns the parent whose memory the child is taken to share, or NULL: see the theory of operation. */
static const struct sampled *vfork_parent_of(const struct sampler *sampler, const struct sampled *child) {
    const struct sampled *parent = NULL;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        const struct sampled *other = &sampler->seen[i];

        if (!other->present)
            continue;
        if (other->pid == child->parent)
            parent = other;
        else if (other->parent == child->parent && other->pid > child->pid)
            return NULL;
    }
    /* A parent's pid must be below its child's, so that the recursion over parents ends for any input. */
    if (parent == NULL || parent->pid > child->pid ||
        !(parent->waiting || sampler->now_us - child->since_us < YOUNG_US) ||
        child->virtual_bytes >= parent->virtual_bytes + TWIN_DIFFERENCE ||
        parent->virtual_bytes >= child->virtual_bytes + TWIN_DIFFERENCE)
        return NULL;
    /* Only a parent that counts in full. Otherwise in a chain of processes each would hide behind its parent. */
    return vfork_parent_of(sampler, parent) == NULL ? parent : NULL;
}

/* Returns the proportional set of one process in bytes; its resident set when access is denied; 0 when it is gone. */
static uint64_t proportional(const struct sampler *sampler, const struct sampled *entry) {
    char text[1024];
    ssize_t size = sampler_read_task(sampler, entry->pid, entry->task, "smaps_rollup", text, sizeof text);

    if (size == -EACCES || size == -EPERM)
        return entry->resident_bytes;
    if (size <= 0)
        return 0;
    return proctext_bytes(text, "Pss:");
}

/* Returns the memory that a process counts with. */
static uint64_t weight(const struct sampler *sampler, const struct sampled *entry, bool exact) {
    return entry->hidden_bytes + (exact ? proportional(sampler, entry) : entry->resident_bytes);
}

uint64_t sampler_memory(const struct sampler *sampler, bool exact) {
    uint64_t sum = 0;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        const struct sampled *entry = &sampler->seen[i];
        const struct sampled *twin = entry->present ? vfork_parent_of(sampler, entry) : NULL;
        uint64_t own = entry->present ? weight(sampler, entry, exact) : 0;
        uint64_t same = twin != NULL ? weight(sampler, twin, exact) : 0;

        sum += own > same ? own - same : 0;
    }
    return sum;
}
