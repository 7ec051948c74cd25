/* What the processes of a slot share. */
#ifndef DEEPOJ_RUN_H
#define DEEPOJ_RUN_H

#include <sys/types.h>

#include "cgroup_run.h"
#include "policy.h"
#include "wire.h"

/* Exit code of a slot whose cell is spent: the launcher starts another slot at the same socket. */
#define SLOT_RENEW 77
/* The same for a slot that never ran anything. If it repeats, the host is at fault. */
#define SLOT_UNUSED 78

/* Set when the launcher starts. The same for all slots and runs, but for the uid at `weak`, where each slot has its
 * own. */
struct launcher {
    uid_t uid; /* the payload's, as numbered inside the box */
    gid_t gid;
    bool weak;          /* no namespaces: bare.c instead of cell.c */
    /* features that a weaker setting lacks */
    bool no_proc;             /* cells have no /proc */
    bool no_hostname;         /* no uts namespace: programs see the host's name */
    bool no_ipc_namespace;    /* System V ipc and message queues are refused by the policy alone */
    bool no_cgroup_namespace; /* programs see the name of the host's group */
    bool privileged;    /* real root; otherwise we are in a user namespace of our own or, at weak, are the payload's
                         * user */
    bool process_quota; /* RLIMIT_NPROC counts one run alone: each slot has a user namespace, or at weak a uid */
    int cgroup;         /* the launcher's directory, where it limits runs, or -1 */
    int counting;       /* the same where it only counts them, or -1 */
    struct cgroup_rates rates; /* for programs; compilers have no rate limits */
    int host_proc;      /* the /proc that we were started under */
    struct policy_program policies[2];
    /* at weak */
    const char *home; /* the directory that contains the slots' directories, or NULL */
    int uids;         /* holds the lock on the slots' uids (as root), or -1 */
    char *const *shown; /* paths that runs may read beside the built-in ones */
    size_t shown_count;
};

/* One payload: its input and the report of its setup. It shares our memory until its exec, so it reports here. */
struct payload {
    const struct launcher *launcher;
    const struct doj_request *request;
    const char *const *argv;
    const char *const *env;
    bool shed; /* it still has rights to shed; false where its slot has shed them */
    pid_t group;     /* at weak: the process group to join */
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

/* Serves one slot over its socket until the socket or the cell ends. */
_Noreturn void slot_main(const struct launcher *launcher, unsigned number, enum doj_policy policy, int sock);

#endif
