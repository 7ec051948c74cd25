/* The state of one run, and the functions that the run*.c files share. */
#ifndef DEEPOJ_RUN_INTERNAL_H
#define DEEPOJ_RUN_INTERNAL_H

#include <sys/resource.h>

#include "child.h"
#include "run.h"
#include "sampler.h"
#include "slot.h"
#include "sys.h"

#define SAMPLE_US UINT64_C(1000)
#define LAZY_SAMPLE_US UINT64_C(20000)
#define COUNT_SLACK_US UINT64_C(2000)
#define MANY_TASKS_EVERY_US UINT64_C(20000) /* between two samples of waits, if the run may have many runnable tasks */
#define TOUCH_BYTES_US UINT64_C(4096)       /* a core touches 3.4 GB/s of small pages at most */

struct run {
    struct slot *slot;
    const struct doj_request *request;
    struct doj_result *result;
    int *fds;
    struct payload payload;
    pid_t pid;
    int pidfd;
    struct stream streams[2];
    int held; /* a writing end of the joined output, beside the payload's; -1 once closed */
    struct cgroup_run group;
    bool grouped;
    struct sampler *sampler; /* the slot's */
    bool loses_children; /* the run may lose children, and their CPU time with them: disown.c */
    uint64_t heard_us;   /* our own CPU time for its calls that we answer: run_watch.c */
    unsigned pipes;      /* that it has open, at most */
    bool several;        /* a sample saw more than one process */
    uint64_t own_us;     /* the CPU time that the slot and its init had at the start of the program */
    bool reaped;
    bool asked; /* the init was asked to kill */
    bool spent; /* the init is gone */
    bool node_gone;
    struct rusage usage;
    uint64_t asked_us;
    uint64_t next_sample_us;
    uint64_t next_wait_us;
    unsigned runnable; /* runnable tasks in the last sample */
    int nice;
    uint64_t wall_end_us;
    uint64_t written_bytes; /* output to a joined run, by the kernel's count */
};

static inline uint64_t saturating_sub(uint64_t from, uint64_t amount) { return from > amount ? from - amount : 0; }

static inline uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static inline void fault(struct run *run, const char *step, int error) {
    if (run->result->fault.step[0] == 0)
        sys_set_fault(&run->result->fault, step, error);
}

static inline bool is_faulted(const struct run *run) { return run->result->fault.step[0] != 0; }

static inline bool is_joined(const struct run *run) { return (run->request->flags & DOJ_FLAG_STDOUT_PIPE) != 0; }

/* ---- run.c ------------------------------------------------------------------------------------------------------- */

/* Reaps the payload, if it has ended. Waits for its end unless the options have WNOHANG. */
void run_reap(struct run *run, int options);

/* Ends the run. The first cause is recorded. */
void run_end(struct run *run, enum doj_ended cause);

/* Reads a stream's pipe once, at most a buffer full. Ends the run when its output is over the limit. */
void run_drain(struct run *run, struct stream *stream);

/* Samples how much a joined run has written. */
void run_sample_written(struct run *run);

/* ---- run_start.c ------------------------------------------------------------------------------------------------- */

/* Makes the scratch, input, output and group of the run ready. A failure is recorded as the run's fault. */
void run_prepare(struct run *run);

/* Starts the program and plans the first sample. A failure is recorded as the run's fault. */
void run_start(struct run *run);

/* ---- run_limits.c ------------------------------------------------------------------------------------------------ */

/* Samples the run, ends it if it is over a limit, and plans the next sample. */
void run_check_limits(struct run *run, uint64_t now);

/* ---- run_cores.c ------------------------------------------------------------------------------------------------- */

/* Samples how long the tasks waited for cores. Limits the share of a run of many tasks. */
void run_sample_waits(struct run *run, uint64_t now);
uint64_t run_own_us(const struct slot *slot);

/* ---- run_cpu.c --------------------------------------------------------------------------------------------------- */

/* Returns the part of our own CPU time that counts as the run's: our time for its calls that we answer, without as much
 * as a shell may need. */
uint64_t run_heard_too_much_us(const struct run *run);

/* Returns the CPU time that the counting group has for this run, if it exceeds `cpu_us`, the processes' own. */
uint64_t run_at_least_counted(const struct run *run, uint64_t cpu_us);

/* ---- run_watch.c ------------------------------------------------------------------------------------------------- */

/* Answers a process that is suspended because it sets the action of SIGCHLD, or makes a pipe. */
void run_hear(struct run *run);

/* ---- run_result.c ------------------------------------------------------------------------------------------------ */

/* Fills in the result of a run that has ended. */
void run_collect(struct run *run);

#endif
