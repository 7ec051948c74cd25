/* Theory of operation
 *
 * Which processes and tasks a run has, and how their files in /proc are read.
 *
 * The run's own /proc lists exactly the run's processes, so no process escapes by being orphaned or by a new session.
 * Where a run has no /proc of its own, its processes are found as descendants: the file of children of each task is
 * read, from the slot downwards (orphans are reparented to the slot or to its init). A process that forks during a pass
 * may be missed once.
 *
 * A pass takes time. Where each process of a chain forks the next one and ends, a pass may find many of them, though
 * there are never more than two. And what it finds may have ended, and wait for the slot, which is busy with the pass,
 * to reap it. So one pass is no reason to end a run for too many processes. Those that a pass found and that still live
 * after it lived at the same moment, its end. */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sampler.h"
#include "sampler_internal.h"
#include "sys.h"

/* The kernel's FIRST_PROCESS_ENTRY, the position of the first process in a /proc. */
#define FIRST_PROCESS_POSITION 256

/* The kernel's struct linux_dirent64. */
struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Of the first thread, whose task has the process's number, it reads "7/stat": that has the CPU time of the whole
 * process, and "7/task/7/stat" only the thread's. */
ssize_t sampler_read_task(const struct sampler *sampler, pid_t pid, pid_t task, const char *file, char *text,
                          size_t size) {
    char path[64];

    if (task == pid)
        snprintf(path, sizeof path, "%d/%s", (int)pid, file);
    else
        snprintf(path, sizeof path, "%d/task/%d/%s", (int)pid, (int)task, file);
    return sys_read_file(sampler->proc, path, text, size);
}

bool sampler_read_stat(const struct sampler *sampler, pid_t pid, pid_t task, struct proctext_stat *figures) {
    char text[1024];

    return sampler_read_task(sampler, pid, task, "stat", text, sizeof text) > 0 && proctext_stat(text, figures);
}

/* Calls `take` for each entry of a directory, from a position on, that is a number. Returns false when the directory
 * could not be read to its end. */
static bool each_number_from(int directory, off_t position, void (*take)(void *context, pid_t number), void *context) {
    _Alignas(8) char buffer[8192];
    long size;

    if (lseek(directory, position, SEEK_SET) < 0)
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

bool sampler_each_number(int directory, void (*take)(void *context, pid_t number), void *context) {
    return each_number_from(directory, 0, take, context);
}

void sampler_each_task(int proc, pid_t pid, void (*take)(void *context, pid_t task), void *context) {
    char path[32];
    int tasks;

    snprintf(path, sizeof path, "%d/task", (int)pid);
    tasks = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks < 0)
        return;
    sampler_each_number(tasks, take, context);
    close(tasks);
}

struct crowd {
    bool has_init;
    bool has_others;
};

static void count(void *context, pid_t number) {
    struct crowd *crowd = context;

    crowd->has_init = crowd->has_init || number == 1;
    crowd->has_others = crowd->has_others || number != 1;
}

/* The kernel lists its own files before the processes, and listing them takes longer than all else here. So we begin
 * behind them. Processes are in the order of their numbers: if the list has process 1, it lacks none. */
bool sampler_is_alone(int proc) {
    struct crowd crowd = {false, false};
    bool complete = each_number_from(proc, FIRST_PROCESS_POSITION, count, &crowd);

    if (!crowd.has_init)
        complete = sampler_each_number(proc, count, &crowd);
    return complete && !crowd.has_others;
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

/* A child in our own group is a slot that has not made its session yet. */
static void kill_with_group(void *context, pid_t pid) {
    const pid_t *own_group = context;
    pid_t group = getpgid(pid);

    kill(group > 1 && group != *own_group ? -group : pid, SIGKILL);
}

void sampler_kill_children(int proc) {
    pid_t own_group = getpgrp();
    pid_t pid = getpid();

    each_child(proc, pid, pid, kill_with_group, &own_group);
}

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

/* The processes that have been found so far. */
struct found {
    pid_t pids[SAMPLER_MAX_PROCESSES];
    size_t pid_count;
    unsigned more; /* that had no room */
};

static void find(void *context, pid_t pid) {
    struct found *found = context;

    if (found->pid_count < SAMPLER_MAX_PROCESSES)
        found->pids[found->pid_count++] = pid;
    else
        found->more++;
}

struct task_search {
    int proc;
    pid_t pid;
    struct found *found;
};

static void find_of_task(void *context, pid_t task) {
    const struct task_search *search = context;

    each_child(search->proc, search->pid, task, find, search->found);
}

/* The kernel lists children by the task that forked them. */
static void find_children(int proc, pid_t pid, struct found *found) {
    struct task_search search = {proc, pid, found};

    sampler_each_task(proc, pid, find_of_task, &search);
}

static void walk_tree(struct walk *walk) {
    struct found found = {.pid_count = 0};
    int proc = walk->sampler->proc;

    find_children(proc, walk->sampler->tree, &found);
    for (size_t i = 0; i < found.pid_count; i++) {
        take_of_run(walk, found.pids[i]);
        find_children(proc, found.pids[i], &found);
    }
}

bool sampler_each_process(const struct sampler *sampler, void (*take)(void *context, pid_t pid), void *context) {
    struct walk walk = {sampler, take, context};

    if (sampler->tree == 0)
        return sampler_each_number(sampler->proc, take_of_run, &walk);
    walk_tree(&walk);
    return true;
}

/* Returns whether a process has ended, and its parent is the slot (in the run's own /proc: 0) or the init. A process of
 * which only the first thread has ended has the same state. */
static bool is_to_be_reaped(const struct sampler *sampler, const struct proctext_stat *figures) {
    pid_t init = sampler->tree == 0 ? 1 : sampler->ours;

    return figures->state == 'Z' && figures->threads <= 1 &&
           (figures->parent == init || figures->parent == sampler->tree);
}

unsigned sampler_tasks_at_once(const struct sampler *sampler) {
    struct found found = {.pid_count = 0};
    struct proctext_stat figures;
    unsigned tasks;

    (void)sampler_each_process(sampler, find, &found); /* if the list is incomplete, the count is too low */
    tasks = found.more; /* not looked at again: so many are no chain. A walk of a tree lists none beyond the table */
    for (size_t i = 0; i < found.pid_count; i++)
        if (sampler_read_stat(sampler, found.pids[i], found.pids[i], &figures) && !is_to_be_reaped(sampler, &figures))
            tasks += figures.threads;
    return tasks;
}
