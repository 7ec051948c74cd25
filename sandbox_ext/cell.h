/* The reusable environment of a slot: namespaces, mounts and an init. It is made once and cleaned between runs. */
#ifndef DEEPOJ_CELL_H
#define DEEPOJ_CELL_H

#include <sys/stat.h>

#include "launcher.h"
#include "sampler.h"

/* Usage of orphaned processes that the init has reaped. The memory is shared with the slot. */
struct cell_tally {
    volatile uint32_t busy; /* the init is reaping children: the figures are about to change */
    volatile uint64_t cpu_us;
    volatile uint64_t maxrss_bytes; /* of the largest since the slot last set it to 0 */
    volatile int slot_cpu;          /* the core of the slot when it last ordered CELL_REST */
};

#define CELL_NO_SCRATCH UINT64_MAX
#define CELL_PATH_BYTES 64U

enum cell_order {
    CELL_EMPTY = 1,   /* kill all processes but the init */
    CELL_SCRATCH = 2, /* replace the scratch by a new one */
    CELL_REST = 3,    /* restore the state before the run; the answer carries the next run's pipes */
    CELL_UP = 4,      /* only an answer: everything is mounted */
    CELL_CROWD = 5,   /* limit all processes but the init to `share`; not answered */
};

#define CELL_CROWD_TASKS 64U

/* Sent in both directions over a SOCK_SEQPACKET pair. Each order but CELL_CROWD is answered with its kind and its
 * fault. */
struct cell_message {
    uint32_t kind;
    struct doj_fault fault;
    uint64_t bytes; /* the size of a new scratch */
    struct sampled_share share; /* for CELL_CROWD */
    /* for CELL_CROWD where the init has no /proc: these tasks alone, as numbered in the cell */
    uint32_t task_count;
    pid_t tasks[CELL_CROWD_TASKS];
};

/* Fields of a cell that are used at `weak` alone; see bare.c. */
struct bare {
    char path[CELL_PATH_BYTES]; /* of the slot's directory */
    int confinement;            /* a Landlock ruleset for payloads */
    unsigned user_tasks;        /* tasks of the payload's user before the run */
    uint64_t next_look_us;      /* when the size of the scratch is measured next */
    struct stat input;          /* the run's standard input */
};

struct cell {
    const struct launcher *launcher;
    enum doj_policy policy;
    struct doj_fault fault; /* why the cell could not be made; every run gets this fault */
    int channel;            /* to the init; -1 once the cell is spent */
    pid_t init; /* our child (at weak the guard); 0 before. We never reap it, so its pid is not reused while we live */
    int init_fd;
    int proc;  /* /proc of the pid namespace, with all processes visible; -1 where it cannot be mounted */
    int store; /* PROGRAM_PATH, writable for the slot alone */
    int scratch;
    uint64_t scratch_bytes;   /* or CELL_NO_SCRATCH: the next run needs a new one */
    struct stat scratch_root; /* as it was before any run */
    ino_t scratch_inode;      /* number of the last inode that the slot made in it */
    unsigned owed; /* answers of the init that are not read yet */
    int pipes[4];  /* of the next run: stdout's two ends, stderr's two; -1: none */
    int watched;      /* reports calls that wait for us (watch.c); -1: none */
    int sockstat;     /* kept open: opening it takes four times as long as reading it */
    uint64_t sockets; /* sockets in the cell before any run */
    struct cell_tally *tally;
    struct bare bare;
};

/* Makes the cell. Afterwards the slot itself lives in it and has shed its rights where it can. Never fails: a failure
 * is recorded in `fault`. */
void cell_open(struct cell *cell, const struct launcher *launcher, enum doj_policy policy, unsigned number);

/* Records the step that failed while the cell was made. Returns the error. */
int cell_fail(struct cell *cell, const char *step, int error);

/* Returns whether no process of a run is left. */
bool cell_is_empty(struct cell *cell);

/* Asks the init to kill all other processes. Its answer makes `channel` readable. */
int cell_ask_empty(struct cell *cell);

/* Limits all tasks of the run to a share of the cores, as far as the host allows. `sampler`: the run's. */
void cell_set_share(struct cell *cell, struct sampler *sampler, struct sampled_share share);

/* Reads one answer of the init and lowers `owed`. Returns 1, or 0 when the init is gone. */
int cell_hear(struct cell *cell);

/* Kills the init in any state. The kernel then kills every process in the cell. The cell is spent. */
void cell_kill(struct cell *cell);

/* Kills the cell as cell_kill does, and waits until all its processes are gone. A payload must be reaped before. Returns
 * whether they are gone after at most wait_ms. -1: waits until they are. */
bool cell_end(struct cell *cell, int wait_ms);

/* Ensures an empty scratch of exactly this size. Makes a new one if the last run changed it. The cell must be empty. */
int cell_ready_scratch(struct cell *cell, uint64_t bytes);

/* Removes all traces of a run, as far as it can without waiting. Ends the cell if a trace cannot be removed,
 * or if the init takes no order any more. */
void cell_rest(struct cell *cell);

/* Before a run: waits until cell_rest is complete. Returns 0, or the error that keeps the cell from being ready. */
int cell_settle(struct cell *cell);

#endif
