/* Theory of operation
 *
 * The run's own /proc lists exactly the run's processes, so no process escapes by being orphaned or by a new session. A
 * sample reads one stat file per process. Where a run has no /proc of its own, its processes are found as descendants:
 * the file of children of each task is read, from the slot downwards (orphans are reparented to the slot or to its
 * init). A process that forks during a pass may be missed once.
 *
 * Memory: the sum of the resident sets. Forked processes share pages, and the sum counts a page once for each of them.
 * When the sum of several passes the limit, the proportional set (each page divided by its users) is read, which is
 * exact and more expensive. Three kinds of memory are in no resident set. A process whose first thread has ended shows
 * none: one of its other threads is read. Page tables (the only cost of memory that was only read) and swapped pages
 * are in a more expensive file, which is read every 8 ms at most. Shared memory that no process maps would be seen
 * nowhere: the policy prevents it.
 *
 * A vfork child has its parent's memory, not a copy. Every posix_spawn, so every system(), would count it twice. A
 * vfork child cannot be recognized for certain from outside. So the youngest child of a parent is taken for one while
 * it has the parent's address space in size, and either is young or has its parent waiting for it. Then only the memory
 * that exceeds the parent's counts. A program that abuses this gains at most the limit once more.
 *
 * Delay: a task waits for a core that another task has. If that other task is of the run as well, it uses CPU time
 * meanwhile. So a task has waited for others as long as its wait exceeds the CPU time of all other tasks of the run.
 * No program can make itself look delayed, however many tasks it has. The longest such wait of one task is a lower
 * bound for the whole run. The kernel adds a wait only when it is over. So a task that is runnable in two samples, and
 * has not run in between, is taken to have waited from one to the other. Tasks that have ended are not counted. Where
 * CPU time is read in ticks, user and system time of each process, and of the children that it has waited for, may lack
 * a tick: so many ticks are subtracted. A task waits a moment even for a free core, and longer for one on which a
 * kernel thread works for the run. So LATENCY_US is subtracted for each turn: without that, a program that naps
 * thousands of times would look delayed.
 *
 * CPU: a process that is gone counts with its last sample. The other sum is what parents show for the children that
 * they have waited for, with the init's count of orphans. The larger of both sums is the figure.
 *
 * A run that may lose children (disown.c) is sampled in nanoseconds. A process that is gone counts with its last sample
 * plus the mean time between two samples. That is right on average, however short a life is: a life of a tenth of that
 * time is seen in one of ten cases, and then counts ten times its length. It is right for long lives, too: the next
 * sample is as likely at each moment, however long ago the last was, so the time from the last sample to the end has
 * the same mean. No program can avoid such moments. When the host or the sampler's own work delays a sample, the delay
 * is added in full. Tasks that did not run all the time are overestimated; but all tasks that ended between two samples
 * have together had no more than all cores. */
#define _GNU_SOURCE
#include "sampler.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proctext.h"
#include "sys.h"

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

#define HIDDEN_EVERY_US UINT64_C(8000)
#define YOUNG_US UINT64_C(64000)
#define LATENCY_US UINT64_C(50) /* two programs that share a core take turns of some milliseconds */
#define TIMES_A_PROCESS 4U /* user and system time, its own and of the children that it has waited for */
#define TWIN_DIFFERENCE (UINT64_C(1) << 20) /* a parent that runs while we read it changes by about a stack */

void sampler_open(struct sampler *sampler, int proc) {
    memset(sampler, 0, sizeof *sampler);
    sampler->proc = proc;
    sampler->page_bytes = sysconf(_SC_PAGESIZE);
    sampler->ticks_per_s = sysconf(_SC_CLK_TCK);
}

void sampler_open_tree(struct sampler *sampler, int proc, pid_t tree, pid_t ours) {
    sampler_open(sampler, proc);
    sampler->tree = tree;
    sampler->ours = ours;
}

/* The first thread's task has the process's number. "7/stat" and "7/task/7/stat" differ in CPU time only. */
static ssize_t read_task(const struct sampler *sampler, pid_t pid, pid_t task, const char *file, char *text,
                         size_t size) {
    char path[64];

    if (task == pid)
        snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    else
        snprintf(path, sizeof path, "%d/task/%d/%s", (int)pid, (int)task, file);
    return sys_read_file(sampler->proc, path, text, size);
}

static bool read_stat(const struct sampler *sampler, pid_t pid, pid_t task, struct proctext_stat *figures) {
    char text[1024];

    return read_task(sampler, pid, task, "stat", text, sizeof text) > 0 && proctext_stat(text, figures);
}

void sampler_lose(struct sampler *sampler, int proc, pid_t tree, pid_t ours) {
    struct sample sample;

    sampler_take(sampler, sampler->now_us, UINT64_MAX, &sample);
    sampler->loses = true;
    sampler->waited_us = sample.waited_us;
    sampler->gone_cpu_us = 0;
    sampler->seen_count = 0; /* another /proc numbers processes differently */
    sampler->proc = proc;
    sampler->tree = tree;
    sampler->ours = ours;
    sampler->cores = sys_cores();
}

static uint64_t to_us(const struct sampler *sampler, uint64_t ticks) {
    return ticks * 1000000U / (uint64_t)sampler->ticks_per_s;
}

/* Calls `take` for each entry of a directory that is a number. Returns false when the directory could not be read to
 * its end. */
static bool each_number(int directory, void (*take)(void *context, pid_t number), void *context) {
    _Alignas(8) char buffer[8192];
    long size;

    if (lseek(directory, 0, SEEK_SET) < 0)
        return false;
    while ((size = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < size;) {
            const struct directory_entry *entry = (const void *)(buffer + at);

            at += entry->length;
            if (isdigit((unsigned char)entry->name[0]))
                take(context, atoi(entry->name));
        }
    return size == 0;
}

/* Calls `take` for each task of a process. */
static void each_task(int proc, pid_t pid, void (*take)(void *context, pid_t task), void *context) {
    char path[32];
    int tasks;

    snprintf(path, sizeof path, "%d/task", (int)pid);
    tasks = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0)
        return;
    each_number(tasks, take, context);
    close(tasks);
}

static void count_others(void *context, pid_t number) { *(unsigned *)context += number != 1; }

bool sampler_is_alone(int proc) {
    unsigned others = 0;

    return each_number(proc, count_others, &others) && others == 0;
}

/* Calls `take` for each child of one task. */
static void each_child(int proc, pid_t pid, pid_t task, void (*take)(void *context, pid_t number), void *context) {
    char path[64];
    char text[8192];
    char *at = text;
    char *end;

    snprintf(path, sizeof path, "%d/task/%d/children", (int)pid, (int)task);
    if (sys_read_file(proc, path, text, sizeof text) <= 0)
        return;
    for (long child = strtol(at, &end, 10); end != at; child = strtol(at = end, &end, 10))
        take(context, (pid_t)child);
}

static void count_any(void *context, pid_t number) {
    (void)number;
    ++*(unsigned *)context;
}

bool sampler_is_childless(int proc, pid_t pid) {
    unsigned children = 0;

    each_child(proc, pid, pid, count_any, &children);
    return children == 0;
}

static void kill_one(void *context, pid_t pid) {
    (void)context;
    kill(pid, SIGKILL);
}

void sampler_kill_children(int proc, pid_t pid) { each_child(proc, pid, pid, kill_one, NULL); }

/* One walk over the processes of a run. */
struct walk {
    const struct sampler *sampler;
    void (*take)(void *context, pid_t pid);
    void *context;
};

static void take_of_run(void *context, pid_t pid) {
    const struct walk *walk = context;

    if (pid != 1 && pid != walk->sampler->ours)
        walk->take(walk->context, pid);
}

/* The processes of a tree that were found so far. */
struct tree {
    int proc;
    pid_t pids[SAMPLER_MAX_PROCESSES];
    size_t pid_count;
};

static void find(void *context, pid_t pid) {
    struct tree *tree = context;

    if (tree->pid_count < SAMPLER_MAX_PROCESSES)
        tree->pids[tree->pid_count++] = pid;
}

struct task_search {
    struct tree *tree;
    pid_t pid;
};

static void find_of_task(void *context, pid_t task) {
    const struct task_search *search = context;

    each_child(search->tree->proc, search->pid, task, find, search->tree);
}

/* Children are listed by the task that made them. */
static void find_children(struct tree *tree, pid_t pid) {
    struct task_search search = {tree, pid};

    each_task(tree->proc, pid, find_of_task, &search);
}

static void walk_tree(struct walk *walk) {
    struct tree tree = {.proc = walk->sampler->proc};

    find_children(&tree, walk->sampler->tree);
    for (size_t i = 0; i < tree.pid_count; i++) {
        take_of_run(walk, tree.pids[i]);
        find_children(&tree, tree.pids[i]);
    }
}

/* Calls `take` for each process of the run. Returns false when the list could not be read to its end. */
static bool each_process(const struct sampler *sampler, void (*take)(void *context, pid_t pid), void *context) {
    struct walk walk = {sampler, take, context};

    if (sampler->tree == 0)
        return each_number(sampler->proc, take_of_run, &walk);
    walk_tree(&walk);
    return true;
}

struct search {
    const struct sampler *sampler;
    pid_t pid;
    pid_t task; /* the first that has memory, or 0 */
    struct proctext_stat *figures;
};

static void try_task(void *context, pid_t task) {
    struct search *search = context;
    struct proctext_stat stat;

    if (search->task != 0 || task == search->pid || !read_stat(search->sampler, search->pid, task, &stat) ||
        stat.pages == 0)
        return;
    search->task = task;
    search->figures->pages = stat.pages;
    search->figures->virtual_bytes = stat.virtual_bytes;
}

/* Returns a task with memory of a process whose first thread has ended, or 0. */
static pid_t living_task(const struct sampler *sampler, pid_t pid, struct proctext_stat *figures) {
    struct search search = {.sampler = sampler, .pid = pid, .figures = figures};

    each_task(sampler->proc, pid, try_task, &search);
    return search.task;
}

static struct sampled *entry_of(struct sampler *sampler, pid_t pid) {
    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].pid == pid)
            return &sampler->seen[i];
    if (sampler->seen_count == SAMPLER_MAX_PROCESSES)
        return NULL;
    sampler->seen[sampler->seen_count] = (struct sampled){.pid = pid, .task = pid, .since_us = sampler->now_us};
    return &sampler->seen[sampler->seen_count++];
}

/* Page tables of ordinary memory (a 512th of it, and a little) do not count as hidden. */
static uint64_t hidden(const struct sampler *sampler, const struct sampled *entry) {
    char text[2048];
    uint64_t bytes;
    uint64_t ordinary = entry->resident_bytes / 256 + (UINT64_C(1) << 20);

    if (read_task(sampler, entry->pid, entry->task, "status", text, sizeof text) <= 0)
        return 0;
    bytes = proctext_bytes(text, "VmPTE:") + proctext_bytes(text, "VmSwap:");
    return bytes > ordinary ? bytes - ordinary : 0;
}

static void remember(struct sampler *sampler, pid_t pid, struct proctext_stat *figures, uint64_t cpu_us) {
    struct sampled *entry = entry_of(sampler, pid);
    pid_t task = pid;

    if (entry == NULL)
        return;
    entry->present = true;
    entry->cpu_us = sampler->loses ? sys_cpu_of_us(pid) : cpu_us;
    entry->threads = figures->threads;
    entry->parent = figures->parent;
    entry->waiting = figures->state == 'D';
    if (figures->state == 'Z' && figures->threads > 1)
        task = living_task(sampler, pid, figures);
    if (task != 0) { /* otherwise its threads changed during the pass: the last figures stand */
        entry->task = task;
        entry->resident_bytes = figures->pages * (uint64_t)sampler->page_bytes;
        entry->virtual_bytes = figures->virtual_bytes;
    }
    if (sampler->ask_hidden)
        entry->hidden_bytes = hidden(sampler, entry);
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
    if (parent == NULL || parent->pid > child->pid || !(parent->waiting || sampler->now_us - child->since_us < YOUNG_US) ||
        child->virtual_bytes >= parent->virtual_bytes + TWIN_DIFFERENCE ||
        parent->virtual_bytes >= child->virtual_bytes + TWIN_DIFFERENCE)
        return NULL;
    /* Only a parent that counts in full: otherwise each of a chain would hide behind the one before. */
    return vfork_parent_of(sampler, parent) == NULL ? parent : NULL;
}

/* Marks processes as present that the list of children missed: it is complete only while the tasks stand still. */
static void recheck_absent(struct sampler *sampler) {
    for (size_t i = 0; sampler->loses && i < sampler->seen_count; i++) {
        struct sampled *entry = &sampler->seen[i];
        uint64_t cpu_us = entry->present ? 0 : sys_cpu_of_us(entry->pid);

        entry->present = entry->present || cpu_us > 0;
        entry->cpu_us = cpu_us > 0 ? cpu_us : entry->cpu_us;
    }
}

/* Removes processes that are gone from the table and returns the CPU time of the others. For lost children: see the
 * theory of operation. */
static uint64_t remove_absent(struct sampler *sampler) {
    uint64_t live = 0;
    uint64_t tasks_gone = 0;
    size_t kept = 0;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        if (!sampler->seen[i].present) {
            sampler->gone_cpu_us += sampler->seen[i].cpu_us;
            tasks_gone += sampler->seen[i].threads;
            continue;
        }
        live += sampler->seen[i].cpu_us;
        sampler->seen[kept] = sampler->seen[i];
        sampler->seen[kept++].present = false;
    }
    sampler->seen_count = kept;
    if (sampler->loses)
        sampler->gone_cpu_us += sampler->unseen_us * (tasks_gone < sampler->cores ? tasks_gone : sampler->cores);
    return live;
}

/* Returns the proportional set of one process in bytes; its resident set when access is denied; 0 when it is gone. */
static uint64_t proportional(const struct sampler *sampler, const struct sampled *entry) {
    char text[1024];
    ssize_t size = read_task(sampler, entry->pid, entry->task, "smaps_rollup", text, sizeof text);

    if (size == -EACCES || size == -EPERM)
        return entry->resident_bytes;
    if (size <= 0)
        return 0;
    return proctext_bytes(text, "Pss:");
}

static uint64_t weight(const struct sampler *sampler, const struct sampled *entry, bool exact) {
    return entry->hidden_bytes + (exact ? proportional(sampler, entry) : entry->resident_bytes);
}

static uint64_t memory(const struct sampler *sampler, bool exact) {
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

struct pass {
    struct sampler *sampler;
    struct sample *sample;
    uint64_t with_children_us;
};

static void take_process(void *context, pid_t pid) {
    struct pass *pass = context;
    struct proctext_stat figures;

    if (!read_stat(pass->sampler, pid, pid, &figures))
        return;
    pass->sample->processes++;
    pass->sample->tasks += figures.threads;
    pass->with_children_us += to_us(pass->sampler, figures.own_ticks + figures.children_ticks);
    pass->sample->waited_us += to_us(pass->sampler, figures.children_ticks);
    remember(pass->sampler, pid, &figures, to_us(pass->sampler, figures.own_ticks));
}

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

    if (read_task(written->sampler, pid, pid, "io", text, sizeof text) > 0)
        written->bytes += proctext_number(text, "wchar:");
}

uint64_t sampler_written(struct sampler *sampler) {
    struct written written = {.sampler = sampler};

    (void)each_process(sampler, add_written, &written); /* if the list is incomplete, the sum is too */
    return written.bytes;
}

struct wait_pass {
    const struct sampler *sampler;
    pid_t pid;
    unsigned processes;
    uint64_t now_us;
    uint64_t cpu_us;
    struct sampled_wait *waits;
    size_t runnable_count;
    struct sampled_task runnable[SAMPLER_MAX_RUNNABLE];
};

/* Returns how long a runnable task has not run, as far as the samples show. */
static uint64_t still_us(struct wait_pass *pass, pid_t task, uint64_t ran, uint64_t waited) {
    const struct sampler *sampler = pass->sampler;
    uint64_t since = pass->now_us;

    for (size_t i = 0; i < sampler->runnable_count; i++) {
        const struct sampled_task *before = &sampler->runnable[i];

        if (before->task == task && before->ran_us == ran && before->waited_us == waited)
            since = before->since_us;
    }
    if (pass->runnable_count < SAMPLER_MAX_RUNNABLE)
        pass->runnable[pass->runnable_count++] = (struct sampled_task){task, ran, waited, since};
    return pass->now_us - since;
}

static void take_wait_of_task(void *context, pid_t task) {
    struct wait_pass *pass = context;
    struct proctext_stat figures;
    struct proctext_schedstat schedstat;
    char text[128];
    uint64_t own;
    bool is_runnable = read_stat(pass->sampler, pass->pid, task, &figures) && figures.state == 'R';

    pass->waits->runnable += is_runnable;
    if (read_task(pass->sampler, pass->pid, task, "schedstat", text, sizeof text) <= 0 ||
        !proctext_schedstat(text, &schedstat))
        return;
    if (is_runnable)
        schedstat.waited_us += still_us(pass, task, schedstat.ran_us, schedstat.waited_us);
    own = pass->cpu_us > schedstat.ran_us ? pass->cpu_us - schedstat.ran_us : 0;
    own += schedstat.turns < UINT64_MAX / 2 / LATENCY_US ? schedstat.turns * LATENCY_US : UINT64_MAX / 2;
    if (schedstat.waited_us > own && schedstat.waited_us - own > pass->waits->delay_us)
        pass->waits->delay_us = schedstat.waited_us - own;
}

static void take_wait(void *context, pid_t pid) {
    struct wait_pass *pass = context;

    pass->pid = pid;
    pass->processes++;
    each_task(pass->sampler->proc, pid, take_wait_of_task, pass);
}

void sampler_take_wait(struct sampler *sampler, uint64_t now_us, uint64_t cpu_us, struct sampled_wait *waits) {
    struct wait_pass pass = {.sampler = sampler, .now_us = now_us, .cpu_us = cpu_us, .waits = waits};
    uint64_t unseen_us;

    *waits = (struct sampled_wait){0, 0};
    (void)each_process(sampler, take_wait, &pass);
    memcpy(sampler->runnable, pass.runnable, pass.runnable_count * sizeof *pass.runnable);
    sampler->runnable_count = pass.runnable_count;
    unseen_us = to_us(sampler, (uint64_t)pass.processes * TIMES_A_PROCESS);
    waits->delay_us = waits->delay_us > unseen_us ? waits->delay_us - unseen_us : 0;
}

struct share_pass {
    const struct sampler *sampler;
    struct sampled_share share;
};

/* A task that has ended meanwhile needs no share. */
static void set_share_of_task(void *context, pid_t task) {
    const struct sampled_share *share = &((struct share_pass *)context)->share;
    cpu_set_t set;

    if (share->nice > 0)
        (void)setpriority(PRIO_PROCESS, (id_t)task, share->nice);
    if (share->cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)share->cpu, &set);
    (void)sched_setaffinity(task, sizeof set, &set);
}

static void set_share(void *context, pid_t pid) {
    const struct share_pass *pass = context;

    each_task(pass->sampler->proc, pid, set_share_of_task, context);
}

void sampler_set_share(struct sampler *sampler, struct sampled_share share) {
    struct share_pass pass = {sampler, share};

    (void)each_process(sampler, set_share, &pass);
}

void sampler_take(struct sampler *sampler, uint64_t now_us, uint64_t memory_limit, struct sample *sample) {
    struct pass pass = {.sampler = sampler, .sample = sample};
    uint64_t tracked_us;

    memset(sample, 0, sizeof *sample);
    sampler->unseen_us = now_us - sampler->now_us + SAMPLER_MEAN_US;
    sampler->unseen_us -= sampler->planned_us < sampler->unseen_us ? sampler->planned_us : sampler->unseen_us;
    sampler->now_us = now_us;
    sampler->ask_hidden = now_us - sampler->hidden_us >= HIDDEN_EVERY_US;
    if (sampler->ask_hidden)
        sampler->hidden_us = now_us;
    if (!each_process(sampler, take_process, &pass))
        keep_all_present(sampler); /* an incomplete list does not show which processes are gone */
    sample->memory_bytes = memory(sampler, false);
    if (sample->memory_bytes > memory_limit && sampler->seen_count > 1) {
        uint64_t exact = memory(sampler, true);

        if (exact > 0 && exact < sample->memory_bytes)
            sample->memory_bytes = exact;
    }
    recheck_absent(sampler);
    tracked_us = remove_absent(sampler);
    pass.with_children_us += sampler->reaped_us;
    tracked_us += sampler->gone_cpu_us + sampler->waited_us;
    sample->cpu_us = tracked_us > pass.with_children_us ? tracked_us : pass.with_children_us;
}
