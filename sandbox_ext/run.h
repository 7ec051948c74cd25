/* What a slot, the init of one run and the payload know of each other. */
#ifndef DEEPOJ_RUN_H
#define DEEPOJ_RUN_H

#include <sys/types.h>

#include "policy.h"
#include "wire.h"

/* Set when the launcher starts, the same for all slots and runs. */
struct launcher {
    uid_t uid; /* the payload's, as numbered inside the box */
    gid_t gid;
    bool privileged;    /* real root; else we live in a user namespace of our own */
    bool process_quota; /* a user namespace for each run bounds its processes (where no pids controller does) */
    int cgroup;         /* the launcher's directory, or -1 */
    int host_proc;      /* the /proc that we were started under */
    struct policy_program policies[2];
};

/* Everything that the init and the payload need, gathered by the slot before it clones them. */
struct run_plan {
    const struct launcher *launcher;
    const struct doj_request *request;
    int stdin_fd;
    int stdout_fd;
    int stderr_fd;
    int scratch; /* detached mount */
    int status;  /* init's end of the channel of struct init_message */
    int cgroup;  /* the run's group, or -1 */
};

enum init_kind {
    INIT_FAULT = 1,   /* a step failed; nothing of the program has run */
    INIT_PROC = 2,    /* carries a descriptor of the run's own /proc */
    INIT_STARTED = 3, /* exec has succeeded */
    INIT_ENDED = 4,   /* the payload was reaped and the pid namespace is empty */
};

/* From init to slot over a SOCK_SEQPACKET pair. The slot says only one thing: shutdown, which means "empty it now". */
struct init_message {
    uint32_t kind;
    struct doj_fault fault;
    int32_t wait_status;
    uint64_t monotonic_us; /* STARTED: just before exec; ENDED: when the payload was reaped */
    uint64_t cpu_us;       /* STARTED: what the setup cost; ENDED: all children, setup included */
    uint64_t maxrss_bytes; /* ENDED: the largest resident set of any one process */
};

/* Process 1 of a run. Never returns. */
_Noreturn void init_main(const struct run_plan *plan);

/* The payload: sets itself up and becomes the program. Reports over `report` (CLOEXEC), never returns. */
_Noreturn void child_main(const struct run_plan *plan, int report);

/* What the payload says over `report`: READY just before exec, and a fault if a step failed. */
struct child_report {
    struct doj_fault fault;
    uint64_t monotonic_us;
    uint64_t cpu_us;
};

/* Serves one slot over its socket until that ends. */
_Noreturn void slot_main(const struct launcher *launcher, unsigned number, int sock);

#endif
