/* The cgroup of one run, below the launcher's directory. */
#ifndef DEEPOJ_CGROUP_RUN_H
#define DEEPOJ_CGROUP_RUN_H

#include "wire.h"

struct cgroup_run {
    int dir;
    int cpu_stat;
    int memory_current; /* open only on kernels without memory.peak */
    char name[64];
    uint64_t peak_bytes; /* the largest sample of memory_current */
};

/* Rate limits of each program: lines for its group's files, composed by the node. */
struct cgroup_rates {
    const char *cpu_max;  /* or NULL: no limit */
    char *const *io_max;  /* one for each disk */
    size_t io_max_count;
};

/* Creates a group without limits. */
int cgroup_run_create(int parent, unsigned slot, struct cgroup_run *run);

/* Sets the run's limits. */
int cgroup_run_limit(struct cgroup_run *run, const struct doj_limits *limits);

/* Sets a program's rate limits. */
int cgroup_run_rate(const struct cgroup_run *run, const struct cgroup_rates *rates);

/* Returns the group's CPU time so far in microseconds, and raises `peak_bytes` to its memory of now. */
uint64_t cgroup_run_sample(struct cgroup_run *run);

/* Kills all processes of the run. */
void cgroup_run_kill(const struct cgroup_run *run);

/* Reads the final figures. `oom_kill` counts processes killed for this run's own limit. `foreign_kill` counts those
 * killed although the run kept it: for a limit of a group above, or because the host has no memory. Returns an error
 * when the figures cannot be read: then there is no verdict. */
int cgroup_run_collect(struct cgroup_run *run, uint64_t *cpu_us, uint64_t *peak_bytes, uint32_t *oom_kill,
                       uint32_t *foreign_kill);

/* Closes the group, which must be empty, and leaves its directory to cgroup_run_sweep. */
void cgroup_run_retire(struct cgroup_run *run);

/* Removes retired groups. Busy ones are left for the next call. If there are too many of them, it waits for them; on
 * the `last` call it waits for all. */
void cgroup_run_sweep(int parent, bool last);

#endif
