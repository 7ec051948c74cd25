/* Samples the resources that the processes of a run use, read from the run's own /proc. */
#ifndef DEEPOJ_SAMPLER_H
#define DEEPOJ_SAMPLER_H

#include <sys/types.h>

#include "wire.h"

#define SAMPLER_MAX_PROCESSES 512U
#define SAMPLER_MEAN_US UINT64_C(1000) /* mean time between two samples of a run that may lose children */

#define SAMPLER_MAX_RUNNABLE 64U
#define SAMPLER_MAX_PIPES 1024U

/* A task that was runnable at the last sample of waits. */
struct sampled_task {
    pid_t task;
    uint64_t ran_us;
    uint64_t waited_us;
    uint64_t since_us; /* it has not run since then */
};

/* Work of sampler_count_pipes. Not on the stack, for a payload's peak shows what we have touched. */
struct sampled_pipes {
    int directory;
    size_t task_count;
    pid_t tasks[SAMPLER_MAX_PROCESSES];
    size_t count;
    ino_t inodes[SAMPLER_MAX_PIPES];
};

struct sampler {
    struct sampled_pipes pipes;
    int proc;   /* descriptor of the run's own /proc, or of one that shows other processes, too */
    pid_t tree; /* in the second case the process whose descendants are the run; else 0 */
    pid_t ours; /* the descendant that does not belong to the run, though its descendants do */
    long page_bytes;
    long ticks_per_s;
    uint64_t now_us;    /* of this sample */
    uint64_t planned_us; /* planned time since the sample before, as drawn */
    uint64_t unseen_us;  /* mean CPU time of a task that ended since the sample before */
    uint64_t hidden_us; /* when hidden memory was last read */
    unsigned doubt; /* whether samples that changed hide memory */
    bool ask_hidden;
    bool stopping; /* the processes are being stopped, or are stopped */
    bool loses;     /* the run may lose children: see sampler_lose */
    unsigned cores;
    uint64_t waited_us;   /* of children waited for before sampler_lose */
    uint64_t reaped_us;   /* of orphans reaped when this sample began; set by the caller */
    uint64_t gone_cpu_us; /* last seen CPU time of processes that are gone */
    size_t runnable_count;
    size_t seen_count;
    struct sampled_task runnable[SAMPLER_MAX_RUNNABLE];
    struct sampled {
        pid_t pid;
        pid_t task; /* its figures are the process's: its own, or a thread's when the first has ended */
        pid_t parent;
        unsigned threads;
        uint64_t since_us; /* the sample that saw it first */
        uint64_t cpu_us;
        uint64_t resident_bytes;
        uint64_t proportional_bytes; /* its proportional set: each page divided by its users */
        uint64_t hidden_bytes; /* page tables beyond the ordinary, and swapped memory */
        uint64_t virtual_bytes;
        bool waiting; /* uninterruptibly: for a vfork child, among other things */
        bool present;
        bool weighed; /* `proportional_bytes` is of this sample */
        bool stopped; /* by us */
    } seen[SAMPLER_MAX_PROCESSES];
};

struct sample {
    uint64_t memory_bytes; /* of all processes together */
    uint64_t cpu_us;       /* of all processes that ever existed, as far as they were seen */
    uint64_t waited_us;    /* of children that living processes have waited for */
    unsigned processes;
    unsigned tasks; /* threads of all processes; a process that ended meanwhile may count beside its successors */
    bool changed;   /* the processes are not those of the sample before, or not all were seen */
};

/* Returns how many tasks the run has at once, without those that have ended and wait to be reaped by the slot or the
 * init. It may be too low: what starts or ends meanwhile does not count. The `tasks` of a sample may be too high. */
unsigned sampler_tasks_at_once(const struct sampler *sampler);

/* Returns whether process 1 is the only one. */
bool sampler_is_alone(int proc);

/* Returns whether a process has no child. For a `proc` that shows more than one run. */
bool sampler_is_childless(int proc, pid_t pid);

/* Sends SIGKILL to all our children, and at the same moment to all members of their process groups, but not of ours. */
void sampler_kill_children(int proc);

/* Samples a run that has its own /proc. */
void sampler_open(struct sampler *sampler, int proc);

/* Samples the descendants of `tree` without `ours`. */
void sampler_open_tree(struct sampler *sampler, int proc, pid_t tree, pid_t ours);

/* From now on the kernel may reap children of the run, and their CPU time is lost. So CPU time is estimated from the
 * samples, from a /proc that shows the run as a tree: in nanoseconds, and on average not too low. The caller sets
 * `planned_us` to the time until the next sample. */
void sampler_lose(struct sampler *sampler, int proc, pid_t tree, pid_t ours);

/* How the run's tasks compete for the cores. */
struct sampled_wait {
    uint64_t delay_us; /* time for which others kept the run from running, at least; 0 if unknown */
    unsigned runnable; /* tasks that run or wait for a core now */
};

/* `cpu_us`: CPU time of the whole run so far. `now_us`: the current time. */
void sampler_take_wait(struct sampler *sampler, uint64_t now_us, uint64_t cpu_us, struct sampled_wait *waits);

/* A run's share of the cores. */
struct sampled_share {
    int nice; /* 0: unchanged */
    int cpu;  /* the only core that it may use; -1: unchanged */
};

/* Applies the share to all tasks of the run. Niceness is never lowered. */
void sampler_set_share(struct sampler *sampler, struct sampled_share share);

/* The same for tasks that are known by number. */
void sampler_share_tasks(const pid_t *tasks, size_t task_count, struct sampled_share share);

/* Lists the run's tasks by their numbers in the run's own pid namespace. Returns how many there are, `size` at most. */
size_t sampler_own_numbers(struct sampler *sampler, pid_t *tasks, size_t size);

/* Bytes that all living processes have written to any file, with those of children that they have waited for. 0 where
 * the kernel does not count them or denies us the figure. */
uint64_t sampler_written(struct sampler *sampler);

/* Counts the pipes that the run's tasks have open, SAMPLER_MAX_PIPES at most. A task whose descriptors we may not see (a
 * program that may be executed but not read) counts as `hidden` pipes. */
unsigned sampler_count_pipes(struct sampler *sampler, unsigned hidden);

/* `memory_limit` decides how exactly shared memory is counted: only near the limit is that worth its cost. A sample
 * over the limit is certain. `now_us`: the current time. */
void sampler_take(struct sampler *sampler, uint64_t now_us, uint64_t memory_limit, struct sample *sample);

#endif
