/* The ready world of a slot: namespaces, mounts and an init, made once and handed from run to run, empty each time. */
#ifndef DEEPOJ_CELL_H
#define DEEPOJ_CELL_H

#include <sys/stat.h>

#include "run.h"
#include "sampler.h"

/* What the init counts of children that were left to it. Memory shared with the slot. */
struct cell_tally {
    volatile uint32_t busy; /* it is waiting for children right now: the figures are about to change */
    volatile uint64_t cpu_us;
    volatile uint64_t maxrss_bytes; /* of the largest since the slot last set it to 0 */
    volatile int slot_cpu;          /* where the slot was when it last ordered a rest */
};

#define CELL_NO_SCRATCH UINT64_MAX
#define CELL_PATH_BYTES 64U

enum cell_order {
    CELL_EMPTY = 1,   /* kill all but yourself */
    CELL_SCRATCH = 2, /* a new scratch in the place of the old */
    CELL_REST = 3,    /* be as before the run; answered with the pipes of the next one */
    CELL_UP = 4,      /* only an answer: all is mounted */
    CELL_CROWD = 5,   /* keep all but yourself to a crowd's share; not answered */
};

/* Both ways over a SOCK_SEQPACKET pair; every order but one is answered with its kind and how it went. */
struct cell_message {
    uint32_t kind;
    struct doj_fault fault;
    uint64_t bytes; /* of a new scratch */
    struct sampled_share share; /* of a crowd */
};

/* What a cell has at `weak` alone; see bare.c. */
struct bare {
    char path[CELL_PATH_BYTES]; /* of the slot's directory */
    int confinement;            /* a ruleset for payloads */
    unsigned user_tasks;        /* those of our user when we came */
    uint64_t next_look_us;      /* at what the scratch holds */
    struct stat input;          /* the run's standard input */
};

struct cell {
    const struct launcher *launcher;
    enum doj_policy policy;
    struct doj_fault fault; /* it never came up: all that can be said of every run */
    int channel;            /* to the init; -1 once it is spent */
    pid_t init; /* our child (the guard, at weak), unreaped: its number is its own for as long as we live; 0 before it
                   is born */
    int init_fd;
    int proc;  /* of the pid namespace, hiding nobody; -1 where it has none */
    int store; /* PROGRAM_PATH, writable for us alone */
    int scratch;
    uint64_t scratch_bytes;   /* or CELL_NO_SCRATCH: the next run needs a new one */
    struct stat scratch_root; /* before any run */
    ino_t scratch_inode;      /* the number of the last that was made in it, by us */
    unsigned owed; /* answers of the init that nobody has read yet */
    int pipes[4];  /* of the next run: stdout's two ends, stderr's two; -1 when there are none */
    int disowning;    /* where the slot hears of processes that may lose children's CPU time; -1: nowhere */
    int sockstat;     /* kept open: to open it takes four times as long as to read it */
    uint64_t sockets; /* that stood in the cell before any run */
    struct cell_tally *tally;
    struct bare bare;
};

/* Makes the cell; the slot itself lives in it afterwards, and has shed its rights where it can. Never fails: what went
 * wrong stands in `fault`. */
void cell_open(struct cell *cell, const struct launcher *launcher, enum doj_policy policy, unsigned number);

/* Whether no process of a run is left. */
bool cell_is_empty(struct cell *cell);

/* Asks the init to kill everybody. Its answer makes `channel` readable. */
int cell_ask_empty(struct cell *cell);

/* Keeps all tasks of the run to a share of the cores, as far as that can be done. `sampler`: the run's. */
void cell_set_share(struct cell *cell, struct sampler *sampler, struct sampled_share share);

/* Reads one answer of the init. 1: that was it, now `owed` counts those that are left; 0: the init is gone. */
int cell_hear(struct cell *cell);

/* Kills the init, whatever it is at: the kernel kills everything in the cell. The cell is spent. */
void cell_kill(struct cell *cell);

/* The same, and waits until all are gone. A payload must be reaped before. */
void cell_end(struct cell *cell);

/* An empty scratch of exactly this size, a new one if the last run left its mark. Needs an empty cell. */
int cell_ready_scratch(struct cell *cell, uint64_t bytes);

/* After a run: nothing of it may show. What can be done without waiting. If something is left that cannot be undone, the
 * cell is ended. */
void cell_rest(struct cell *cell);

/* Before a run: waits until the rest is done. 0, or what keeps the cell from being ready. */
int cell_settle(struct cell *cell);

#endif
