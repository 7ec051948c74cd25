/* Theory of operation
 *
 * How many pipes a run has open, whichever of its tasks hold them. A run may move pipes from task to task meanwhile. So
 * the tasks are looked at in a random order: no task can know that the look does not reach it any more. Pipes in flight
 * in sockets are not seen; the kernel bounds descriptors in flight by RLIMIT_NOFILE, for all processes of a user. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sampler.h"
#include "sampler_internal.h"
#include "sys.h"

static void note_task(void *context, pid_t task) {
    struct sampled_pipes *pipes = context;

    if (pipes->task_count < SAMPLER_MAX_PROCESSES) /* has_too_many_tasks ends a run with more */
        pipes->tasks[pipes->task_count++] = task;
}

static void note_process(void *context, pid_t pid) {
    struct sampler *sampler = context;

    sampler_each_task(sampler->proc, pid, note_task, &sampler->pipes);
}

static void note_descriptor(void *context, pid_t number) {
    struct sampled_pipes *pipes = context;
    struct stat status;
    char name[16];

    snprintf(name, sizeof name, "%d", (int)number);
    if (fstatat(pipes->directory, name, &status, 0) != 0 || !S_ISFIFO(status.st_mode))
        return;
    for (size_t i = 0; i < pipes->count; i++)
        if (pipes->inodes[i] == status.st_ino)
            return;
    if (pipes->count < SAMPLER_MAX_PIPES)
        pipes->inodes[pipes->count++] = status.st_ino;
}

/* Each thread may have a table of descriptors of its own. The number of a thread is found in /proc as a process's is,
 * though it is not listed. */
static bool look_at_task(struct sampler *sampler, pid_t task) {
    struct sampled_pipes *pipes = &sampler->pipes;
    char path[32];
    int error;

    snprintf(path, sizeof path, "%d/fd", (int)task);
    pipes->directory = openat(sampler->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = pipes->directory < 0 ? errno : 0;
    if (error == 0)
        (void)sampler_each_number(pipes->directory, note_descriptor, pipes); /* a task that ends holds none */
    sys_close(&pipes->directory);
    return error != EACCES && error != EPERM;
}

unsigned sampler_count_pipes(struct sampler *sampler, unsigned hidden) {
    struct sampled_pipes *pipes = &sampler->pipes;
    unsigned all = 0;

    pipes->task_count = pipes->count = 0;
    (void)sampler_each_process(sampler, note_process, sampler);
    for (size_t left = pipes->task_count; left > 0; left--) {
        unsigned drawn = 0;

        (void)!getrandom(&drawn, sizeof drawn, GRND_NONBLOCK); /* fails only when a host has just started */
        if (!look_at_task(sampler, pipes->tasks[drawn % left]))
            all += hidden;
        pipes->tasks[drawn % left] = pipes->tasks[left - 1];
    }
    return all + (unsigned)pipes->count;
}
