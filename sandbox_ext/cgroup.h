/* cgroup v2: one directory a launcher, one group a run below it; see cgroup.c. */
#ifndef DEEPOJ_CGROUP_H
#define DEEPOJ_CGROUP_H

#include "wire.h"

struct cgroup_run {
    int dir;
    int cpu_stat;
    int memory_current; /* open only on kernels without memory.peak */
    char name[64];
    uint64_t peak_bytes; /* the largest sample of memory_current */
};

/* What each program may have a second: lines for its group's files, as the node has put them together. */
struct cgroup_rates {
    const char *cpu_max;  /* or NULL: no limit */
    char *const *io_max;  /* one for each disk */
    size_t io_max_count;
};

/* Readies a directory for runs, sweeping what dead launchers left. Returns it, or -1 with a sentence in `why`. With `io`
 * its groups have the io controller, if there is one. */
int cgroup_prepare(bool io, char *why, size_t size);

/* Readies a directory where v2 has no controllers to give; or -1. Runs are not limited there, but counted. */
int cgroup_prepare_counting(void);

/* Puts the calling slot, with all that it will start, into a group of that directory. Returns the group's cpu.stat, or
 * -1: then CPU is counted by who waited for whom. */
int cgroup_count_slot(int parent, unsigned slot);

/* CPU of a group in microseconds so far, from its cpu.stat. */
uint64_t cgroup_usage_us(int cpu_stat);

/* Kills and removes everything in the launcher's directory and the directory itself. */
void cgroup_remove(void);

/* A fresh group without limits. */
int cgroup_run_create(int parent, unsigned slot, struct cgroup_run *run);

/* Sets the run's limits. */
int cgroup_run_limit(struct cgroup_run *run, const struct doj_limits *limits);

/* Sets what a program may have a second. */
int cgroup_run_rate(const struct cgroup_run *run, const struct cgroup_rates *rates);

/* CPU of the group in microseconds so far; samples memory as well. */
uint64_t cgroup_run_sample(struct cgroup_run *run);

void cgroup_run_kill(const struct cgroup_run *run);

/* Final figures. `oom_kill` counts those killed for this run's own limit, `foreign_kill` those killed though it was
 * kept: for a limit above it, or by a host that ran out. An error when they cannot be read: there is no verdict then. */
int cgroup_run_collect(struct cgroup_run *run, uint64_t *cpu_us, uint64_t *peak_bytes, uint32_t *oom_kill,
                       uint32_t *foreign_kill);

/* The group is empty by now: closes it, and leaves its directory to cgroup_run_sweep. */
void cgroup_run_retire(struct cgroup_run *run);

/* Removes what was retired. What is still busy is left for the next time; too many of those are waited for, and all of
 * them the `last` time. */
void cgroup_run_sweep(int parent, bool last);

#endif
