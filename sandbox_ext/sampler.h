/* What the processes of a run use right now, read from the run's own /proc. */
#ifndef DEEPOJ_SAMPLER_H
#define DEEPOJ_SAMPLER_H

#include <sys/types.h>

#include "wire.h"

#define SAMPLER_MAX_PROCESSES 512U
#define SAMPLER_MEAN_US UINT64_C(1000) /* between two samples of a run that may lose children, as planned */

#define SAMPLER_MAX_RUNNABLE 64U

/* A task that was runnable when its delay was last asked for. */
struct sampled_task {
    pid_t task;
    uint64_t ran_us;
    uint64_t waited_us;
    uint64_t since_us; /* it has not run since then */
};

struct sampler {
    int proc;   /* directory descriptor of the run's /proc, or of one in which it is a tree among others */
    pid_t tree; /* in the second case: whose descendants the run is; else 0 */
    pid_t ours; /* the one among those that is no process of the run; its descendants are */
    long page_bytes;
    long ticks_per_s;
    uint64_t now_us;    /* of this sample */
    uint64_t planned_us; /* from the one before to this one, as drawn */
    uint64_t unseen_us;  /* what a task that is gone has had since the one before, on average */
    uint64_t hidden_us; /* when hidden memory was last asked for */
    bool ask_hidden;
    bool loses;     /* the run may lose children: see sampler_lose */
    unsigned cores;
    uint64_t waited_us;   /* before that, by children that were waited for */
    uint64_t reaped_us;   /* by orphans that were waited for when this sample began; set by the caller */
    uint64_t gone_cpu_us; /* last seen CPU of processes that are gone */
    size_t runnable_count;
    struct sampled_task runnable[SAMPLER_MAX_RUNNABLE];
    size_t seen_count;
    struct sampled {
        pid_t pid;
        pid_t task; /* whose figures stand for the process's memory: its own, or a thread's when its first has ended */
        pid_t parent;
        unsigned threads;
        uint64_t since_us; /* the sample that saw it first */
        uint64_t cpu_us;
        uint64_t resident_bytes;
        uint64_t hidden_bytes; /* page tables beyond the ordinary, and what is swapped out */
        uint64_t virtual_bytes;
        bool waiting; /* uninterruptibly: for a vfork child, among other things */
        bool present;
    } seen[SAMPLER_MAX_PROCESSES];
};

struct sample {
    uint64_t memory_bytes; /* of all processes together */
    uint64_t cpu_us;       /* of all processes that there ever were, as far as they were seen */
    uint64_t waited_us;    /* of those that living ones have waited for */
    unsigned processes;
    unsigned tasks; /* threads of all processes */
};

/* Whether process 1 is the only one. */
bool sampler_is_alone(int proc);

/* Whether a process has no child; of a `proc` that shows more than one run. */
bool sampler_is_childless(int proc, pid_t pid);

/* Sends SIGKILL to all children of a process, but not to theirs. */
void sampler_kill_children(int proc, pid_t pid);

/* Of a run's own /proc. */
void sampler_open(struct sampler *sampler, int proc);

/* Of the descendants of `tree`, without `ours`. */
void sampler_open_tree(struct sampler *sampler, int proc, pid_t tree, pid_t ours);

/* From now on children of the run may be reaped by the kernel, and nothing tell their CPU time. So it is the samples'
 * that counts, from a /proc that shows the run as a tree: in nanoseconds, and not less than there was on average. The
 * caller says in `planned_us` when it means to take the next one. */
void sampler_lose(struct sampler *sampler, int proc, pid_t tree, pid_t ours);

/* How the run's tasks compete for the cores. */
struct sampled_wait {
    uint64_t delay_us; /* others have kept the run from running, for at least so long; 0 where the kernel does not tell */
    unsigned runnable; /* tasks that run or wait for a core now */
};

/* `cpu_us`: what all of the run has used. `now_us` is now. */
void sampler_take_wait(struct sampler *sampler, uint64_t now_us, uint64_t cpu_us, struct sampled_wait *found);

/* What a run may have of the cores. */
struct sampled_share {
    int nice; /* 0: as it is */
    int cpu;  /* the only one that it may use; -1: as it is */
};

/* Keeps all tasks of the run to it. A niceness does not go down. */
void sampler_set_share(struct sampler *sampler, struct sampled_share share);

/* What all living processes have written to whatever it be, in bytes, with what those wrote whom they have waited for; 0
 * where the kernel does not count that, or does not tell us. */
uint64_t sampler_written(struct sampler *sampler);

/* `memory_limit` decides how exactly shared memory is counted: only near it is it worth the cost. `now_us` is now. */
void sampler_take(struct sampler *sampler, uint64_t now_us, uint64_t memory_limit, struct sample *sample);

#endif
