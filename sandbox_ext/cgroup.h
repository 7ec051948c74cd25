/* cgroup v2: one directory for each launcher, and below it one group for each run (cgroup_run.h); see cgroup.c. */
#ifndef DEEPOJ_CGROUP_H
#define DEEPOJ_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prepares a directory for runs, and removes what dead launchers left. Returns it, or -1 with a sentence in `why`. With
 * `io` its groups have the io controller, if there is one. */
int cgroup_prepare(bool io, char *why, size_t size);

/* Prepares a directory where v2 has no controllers, or returns -1. Runs are not limited there, but counted. */
int cgroup_prepare_counting(void);

/* Moves the calling slot, with all its future children, into a group of that directory. Returns the group's cpu.stat,
 * or -1. Without it, CPU time is known only of processes that their parent has waited for, and from samples. */
int cgroup_count_slot(int parent, unsigned slot);

/* CPU time of a group in microseconds so far, from its cpu.stat. */
uint64_t cgroup_usage_us(int cpu_stat);

/* Kills all processes in the launcher's directory and removes it with everything below. */
void cgroup_remove(void);

#endif
