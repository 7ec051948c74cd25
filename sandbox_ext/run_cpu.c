/* CPU time of a run where no cgroup limits it: a counting cgroup, and our own time for the run's calls.
 * The processes' own figures come from the sampler (sampler_cpu.c) and from wait4 (run_result.c). */
#define _GNU_SOURCE
#include <unistd.h>

#include "cgroup.h"
#include "run_internal.h"

#define FREE_HEARING_US UINT64_C(50000)

/* The group's CPU time without ours and the init's. Ours is read after the group's, so the result is too small by our
 * CPU time between the two reads, and never too large. */
uint64_t run_counted_us(const struct slot *slot) {
    uint64_t all;

    if (slot->cpu_stat < 0)
        return 0;
    all = cgroup_usage_us(slot->cpu_stat);
    return saturating_sub(all, run_own_us(slot));
}

/* The CPU time of the slot and its init. */
uint64_t run_own_us(const struct slot *slot) { return sys_cpu_us() + sys_cpu_of_us(slot->cell.init); }

/* A program could set handlers or make pipes again and again, and so use our time for free. No shell needs
 * FREE_HEARING_US. */
uint64_t run_heard_too_much_us(const struct run *run) { return saturating_sub(run->heard_us, FREE_HEARING_US); }

/* Only the group counts children that their parent does not wait for (it ignores SIGCHLD). If both figures differ by
 * less than COUNT_SLACK_US, the processes' own is better. */
uint64_t run_at_least_counted(const struct run *run, uint64_t cpu_us) {
    uint64_t counted = saturating_sub(run_counted_us(run->slot), run->slot->counted_us + run->payload.cpu_us);

    return counted > cpu_us + COUNT_SLACK_US ? counted : cpu_us;
}
