/* Theory of operation
 *
 * The memory of a run is the sum of the resident sets of its processes. Forked processes share pages, and the sum
 * counts a page once for each of them. When the sum of several processes is over the limit, the proportional sets (each
 * page divided by its users) are read, which are exact, but more expensive.
 *
 * They add up only while no process starts, ends or gives memory back. Of 60 MiB that two processes share, 30 are read
 * from the first, and 60 from the other if the first has ended meanwhile. So the processes are listed again after the
 * reading. Of a sample that changed meanwhile only the largest process counts.
 *
 * That alone would let chains of processes, each of which forks the next one and ends, hide any amount. So each sample
 * that changed makes a doubt grow, slowly where the proportional sets were within the limit: of chains, several have
 * ended before they are read. A sample without change ends the doubt. At DOUBT_MAX the processes are stopped, read, and
 * continued. A program could notice it by a SIGCHLD of a child that stopped; nothing else can be read exactly.
 *
 * Three kinds of memory are in no resident set. A process whose first thread has ended shows none, so one of its other
 * threads is read. Page tables (the only cost of memory that was only read) and swapped pages are in a more expensive
 * file, which is read every 8 ms at most. Shared memory that no process maps would be seen nowhere: the policy prevents
 * it.
 *
 * A vfork child has its parent's memory, not a copy. Every posix_spawn, so every system(), would count it twice. A
 * vfork child cannot be recognized for certain from outside. So the youngest child of a parent is taken for one while
 * its address space is as large as the parent's, and it is young or its parent waits. Then only its memory beyond the
 * parent's counts. A program that abuses this gains at most the limit once more. Of stopped processes only the parent of
 * a vfork child still waits, so youth does not matter there: it would hide half of each link of a chain. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proctext.h"
#include "sampler.h"
#include "sampler_internal.h"
#include "sys.h"

#define DOUBT_MAX 32U /* 16 samples that were over the limit, or 32 that might have been */
#define DOUBT_OVER 2U
#define STOPS_MAX 16U /* a process that was about to fork when it was stopped has a child that was not */
#define SHRUNK_BYTES (UINT64_C(1) << 20) /* a program that gives back less than this is taken to have kept all */
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
        !(parent->waiting || (!sampler->stopping && sampler->now_us - child->since_us < YOUNG_US)) ||
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

/* One reading of the proportional sets. */
struct weighing {
    struct sampler *sampler;
    size_t weighed;
    size_t listed; /* afterwards */
    bool changed;
};

/* Returns the table's entry of a process, or NULL. */
static struct sampled *known(struct sampler *sampler, pid_t pid) {
    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].pid == pid)
            return &sampler->seen[i];
    return NULL;
}

static void weigh(struct weighing *weighing, struct sampled *entry) {
    entry->proportional_bytes = proportional(weighing->sampler, entry);
    entry->weighed = true;
    weighing->weighed++;
}

static void weigh_process(void *context, pid_t pid) {
    struct weighing *weighing = context;
    struct sampler *sampler = weighing->sampler;
    const struct sampled *before = known(sampler, pid);
    uint64_t before_bytes = before != NULL ? before->resident_bytes : 0;
    struct proctext_stat figures;
    struct sampled *entry;

    if (!sampler_read_stat(sampler, pid, pid, &figures))
        return;
    entry = sampler_remember(sampler, pid, &figures);
    if (before == NULL || entry == NULL || entry->resident_bytes + SHRUNK_BYTES < before_bytes)
        weighing->changed = true;
    if (entry != NULL)
        weigh(weighing, entry);
}

/* Compares a process with what was weighed of it. */
static void check_process(void *context, pid_t pid) {
    struct weighing *weighing = context;
    const struct sampled *entry = known(weighing->sampler, pid);
    struct proctext_stat figures;

    weighing->listed++;
    if (entry == NULL || !entry->weighed || !sampler_read_stat(weighing->sampler, pid, entry->task, &figures) ||
        figures.pages * (uint64_t)weighing->sampler->page_bytes + SHRUNK_BYTES < entry->resident_bytes)
        weighing->changed = true;
}

/* Reads the proportional sets of all processes. Returns whether they add up: the processes are the same as before the
 * first was read, when the sample began, and after the last. */
static bool weigh_all(struct sampler *sampler) {
    struct weighing weighing = {.sampler = sampler};

    for (size_t i = 0; i < sampler->seen_count; i++)
        sampler->seen[i].weighed = false;
    if (!sampler_each_process(sampler, weigh_process, &weighing))
        weighing.changed = true;
    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].present && !sampler->seen[i].weighed) {
            weighing.changed = true;
            weigh(&weighing, &sampler->seen[i]);
        }
    return sampler_each_process(sampler, check_process, &weighing) && !weighing.changed &&
           weighing.listed == weighing.weighed;
}

static uint64_t resident_of(const struct sampled *entry) { return entry->hidden_bytes + entry->resident_bytes; }

static uint64_t proportional_of(const struct sampled *entry) {
    return entry->hidden_bytes + (entry->weighed ? entry->proportional_bytes : 0);
}

static uint64_t sum_of(const struct sampler *sampler, uint64_t (*bytes_of)(const struct sampled *entry)) {
    uint64_t sum = 0;

    for (size_t i = 0; i < sampler->seen_count; i++) {
        const struct sampled *entry = &sampler->seen[i];
        const struct sampled *twin = entry->present ? vfork_parent_of(sampler, entry) : NULL;
        uint64_t own = entry->present ? bytes_of(entry) : 0;
        uint64_t same = twin != NULL ? bytes_of(twin) : 0;

        sum += own > same ? own - same : 0;
    }
    return sum;
}

static uint64_t largest_of(const struct sampler *sampler) {
    uint64_t largest = 0;

    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].present && resident_of(&sampler->seen[i]) > largest)
            largest = resident_of(&sampler->seen[i]);
    return largest;
}

/* Sends a signal to a process. Its number may be one of another namespace, but its directory is the process's. */
static int send_signal(const struct sampler *sampler, pid_t pid, int number) {
    char path[16];
    int directory;
    int error;

    snprintf(path, sizeof path, "%d", (int)pid);
    directory = openat(sampler->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    error = syscall(SYS_pidfd_send_signal, directory, number, NULL, 0U) != 0 ? -errno : 0;
    close(directory);
    return error;
}

static void stop_process(void *context, pid_t pid) {
    struct sampler *sampler = context;
    struct proctext_stat figures;
    struct sampled *entry;

    if (!sampler_read_stat(sampler, pid, pid, &figures))
        return;
    entry = sampler_remember(sampler, pid, &figures);
    if (entry != NULL && figures.state != 'T' && send_signal(sampler, pid, SIGSTOP) == 0)
        entry->stopped = true;
}

/* Stops all processes, and returns the sum of their proportional sets. It is too small where a program continues its
 * processes faster than they are stopped; then it has seen to it, and the last sum counts. */
static uint64_t weigh_stopped(struct sampler *sampler) {
    bool settled = false;
    uint64_t sum;

    sampler->stopping = true;
    for (unsigned i = 0; i < STOPS_MAX && !settled; i++) {
        for (size_t j = 0; j < sampler->seen_count; j++)
            sampler->seen[j].present = false;
        settled = sampler_each_process(sampler, stop_process, sampler) && weigh_all(sampler);
    }
    sum = sum_of(sampler, proportional_of);
    sampler->stopping = false;
    for (size_t i = 0; i < sampler->seen_count; i++)
        if (sampler->seen[i].stopped) {
            (void)send_signal(sampler, sampler->seen[i].pid, SIGCONT); /* fails only for one that is gone */
            sampler->seen[i].stopped = false;
        }
    return sum;
}

uint64_t sampler_memory(struct sampler *sampler, uint64_t memory_limit) {
    uint64_t resident = sum_of(sampler, resident_of);
    uint64_t exact;
    bool settled;

    if (resident <= memory_limit || sampler->seen_count < 2) {
        sampler->doubt -= sampler->doubt > 0; /* not 0: of chains, a sample may miss all links but one */
        return resident;
    }
    settled = weigh_all(sampler);
    exact = sum_of(sampler, proportional_of);
    if (!settled) {
        sampler->doubt += exact > memory_limit ? DOUBT_OVER : 1;
        if (sampler->doubt < DOUBT_MAX)
            return largest_of(sampler);
        exact = weigh_stopped(sampler);
    }
    sampler->doubt = 0;
    return exact < resident ? exact : resident;
}
