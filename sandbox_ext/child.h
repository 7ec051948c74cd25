/* The payload between clone and exec; see child.c. */
#ifndef DEEPOJ_CHILD_H
#define DEEPOJ_CHILD_H

#include <sys/types.h>

#include "launcher.h"
#include "wire.h"

/* One payload: its input and the report of its setup. It shares our memory until its exec, so it reports here. */
struct payload {
    const struct launcher *launcher;
    const struct doj_request *request;
    const char *const *argv;
    const char *const *env;
    bool shed; /* it still has rights to shed; false where its slot has shed them */
    pid_t group;     /* at weak: the process group to join */
    pid_t slot;      /* its parent */
    unsigned user_tasks; /* at weak without a uid of its own: tasks of the user beside the run's */
    int confinement; /* at weak: a Landlock ruleset */
    int stdin_fd;
    int stdout_fd;
    int stderr_fd;
    /* written by the payload */
    volatile bool ready; /* the setup is complete, and exec comes next */
    volatile uint64_t monotonic_us;
    volatile uint64_t cpu_us; /* CPU time of the setup */
    const char *volatile step; /* the step that failed, or NULL */
    volatile int error;
};

/* Becomes the program of *payload; ends only by exec or _exit. For sys_spawn. */
int child_main(void *payload);

#endif
