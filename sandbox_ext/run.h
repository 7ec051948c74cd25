/* What the processes of a slot know of each other. */
#ifndef DEEPOJ_RUN_H
#define DEEPOJ_RUN_H

#include <sys/types.h>

#include "cgroup.h"
#include "policy.h"
#include "wire.h"

/* How the slot ends when its cell is spent: the launcher puts another slot in its place, at the same socket. */
#define SLOT_RENEW 77
/* The same of a slot that never ran anything; if that goes on, something is wrong with the host. */
#define SLOT_UNUSED 78

/* Set when the launcher starts, the same for all slots and runs (but for the uid at `weak`, where each slot has its
 * own). */
struct launcher {
    uid_t uid; /* the payload's, as numbered inside the box */
    gid_t gid;
    bool weak;          /* no namespaces: bare.c instead of cell.c */
    /* what a weaker setting does without */
    bool no_proc;             /* cells have no /proc */
    bool no_hostname;         /* … and see the host's name: no uts namespace */
    bool no_ipc_namespace;    /* System V ipc and message queues are refused by the policy alone */
    bool no_cgroup_namespace; /* … and see the name of the host's group */
    bool privileged;    /* real root; else we live in a user namespace of our own, or, at weak, are the payload's user */
    bool process_quota; /* RLIMIT_NPROC counts a run alone: a user namespace for each slot, or a uid at weak */
    int cgroup;         /* the launcher's directory, where it limits runs, or -1 */
    int counting;       /* the same where it only counts them, or -1 */
    struct cgroup_rates rates; /* of programs; compilers have none */
    int host_proc;      /* the /proc that we were started under */
    struct policy_program policies[2];
    /* at weak */
    const char *home; /* the directory that has the slots' own, or NULL */
    int uids;         /* has the lock on the slots' uids, of root, or -1 */
    char *const *shown; /* paths that runs may read beside the built-in ones */
    size_t shown_count;
};

/* One payload: what it becomes, and what came of that. It shares our memory until its exec, so it reports right here. */
struct payload {
    const struct launcher *launcher;
    const struct doj_request *request;
    const char *const *argv;
    const char *const *env;
    bool shed; /* still has rights to shed; else the slot that clones it has none */
    pid_t group;     /* at weak: the process group to be in */
    unsigned user_tasks; /* at weak without a uid of its own: how many the user has beside the run's */
    int confinement; /* at weak: a Landlock ruleset */
    int stdin_fd;
    int stdout_fd;
    int stderr_fd;
    /* written by the payload */
    volatile bool ready; /* all is set up, and exec comes next */
    volatile uint64_t monotonic_us;
    volatile uint64_t cpu_us; /* what the setup cost */
    const char *volatile step; /* the step that failed, or NULL */
    volatile int error;
};

/* Becomes the program of *payload; returns only by exec or _exit. For sys_spawn. */
int child_main(void *payload);

/* Serves one slot over its socket until that ends, or its cell does. */
_Noreturn void slot_main(const struct launcher *launcher, unsigned number, enum doj_policy policy, int sock);

#endif
