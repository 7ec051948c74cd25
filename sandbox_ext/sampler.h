/* What the processes of a run use right now, read from the run's own /proc. */
#ifndef DEEPOJ_SAMPLER_H
#define DEEPOJ_SAMPLER_H

#include <sys/types.h>

#include "wire.h"

#define SAMPLER_MAX_PROCESSES 512U

struct sampler {
    int proc; /* directory descriptor of the run's /proc, or -1: then nothing is sampled */
    long page_bytes;
    long ticks_per_s;
    uint64_t now_us; /* of this sample */
    uint64_t hidden_us; /* when hidden memory was last asked for */
    bool ask_hidden;
    uint64_t gone_cpu_us; /* last seen CPU of processes that are gone */
    size_t seen_count;
    struct sampled {
        pid_t pid;
        pid_t task; /* whose figures stand for the process's memory: its own, or a thread's when its first has ended */
        pid_t parent;
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
    unsigned processes;
    unsigned tasks; /* threads of all processes */
};

/* Whether process 1 is the only one. */
bool sampler_is_alone(int proc);

void sampler_open(struct sampler *sampler, int proc);

/* `memory_limit` decides how exactly shared memory is counted: only near it is it worth the cost. `now_us` is now. */
void sampler_take(struct sampler *sampler, uint64_t now_us, uint64_t memory_limit, struct sample *sample);

#endif
