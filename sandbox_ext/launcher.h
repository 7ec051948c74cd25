/* What the launcher has set up, for its slots and their runs. */
#ifndef DEEPOJ_LAUNCHER_H
#define DEEPOJ_LAUNCHER_H

#include <sys/types.h>

#include "cgroup_run.h"
#include "policy.h"
#include "wire.h"

/* Set when the launcher starts. The same for all slots and runs, but for the uid: where we are root each slot has its
 * own. */
struct launcher {
    pid_t pid;
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
    bool blind;         /* root at weak, but may not look into programs or choose their cores: bare_become_payload */
    bool process_quota; /* RLIMIT_NPROC counts one run alone: each slot has a user namespace, or at weak a uid */
    int cgroup;         /* the launcher's directory, where it limits runs, or -1 */
    int counting;       /* the same where it only counts them, or -1 */
    struct cgroup_rates rates; /* for programs; compilers have no rate limits */
    int host_proc;      /* the /proc that we were started under */
    struct policy_program policies[2];
    unsigned pipes;        /* that a run may hold where all slots have one user (run_watch.c); 0: any number */
    bool short_of_pipes;   /* the kernel gives a user fewer pages of pipes than so many slots may need */
    unsigned stream_bytes; /* size of the pipe of each output */
    int uids; /* holds the lock on the slots' uids (as root), or -1 */
    /* at weak */
    const char *home;   /* the directory that contains the slots' directories, or NULL */
    char *const *shown; /* paths that runs may read beside the built-in ones */
    size_t shown_count;
};

#endif
