/* A run's tasks and the cores: how long others delay them, and the niceness and the core of a run of many tasks. */
#define _GNU_SOURCE
#include "run_internal.h"

#define WAIT_EVERY_US UINT64_C(100000) /* between two samples of all tasks' waits */
#define MODEST_TASKS 2U
#define NICE_0_WEIGHT 1024U /* in the scheduler; each step of niceness takes a fifth off */

/* Returns the niceness at which all tasks together weigh about as much as one. Where no group limits a run's share of
 * the cores, the scheduler may share the cores among tasks. Then the many tasks of one run would displace the only task
 * of another.
 *
 * Niceness alone does not suffice. The kernel counts a group's share for each core, and loses count where many tasks
 * sleep, wake and change cores. Beside nine pairs of processes that talk through pipes, all other sessions stood still
 * for up to a minute (Linux 6.18). Tasks bound to one core get no more than half of it. So a run of many tasks is bound
 * to the slot's core. */
static int nice_of(unsigned runnable) {
    unsigned weight = NICE_0_WEIGHT;
    int nice = 0;

    if (runnable <= MODEST_TASKS)
        return 0;
    for (; nice < 19 && weight * runnable > NICE_0_WEIGHT; nice++)
        weight = weight * 4 / 5;
    return nice;
}

void run_sample_waits(struct run *run, uint64_t now) {
    struct sampled_wait waits;
    int nice;

    /* A program may make us work for it: to sample 14 processes with much memory takes most of a core. */
    sampler_take_wait(run->sampler, now, run->result->cpu_us + saturating_sub(run_own_us(run->slot), run->own_us), &waits);
    /* the payload may have waited before its exec, too: that was not the program */
    waits.delay_us = least(waits.delay_us, saturating_sub(now, run->payload.monotonic_us));
    if (waits.delay_us > run->result->delay_us)
        run->result->delay_us = waits.delay_us;
    /* Two samples in a row, so that a short burst of a runtime's threads does not count. */
    nice = nice_of(waits.runnable < run->runnable ? waits.runnable : run->runnable);
    run->runnable = waits.runnable;
    if (nice > run->nice)
        run->nice = nice;
    run->next_wait_us = now + (waits.runnable > MODEST_TASKS && run->nice == 0 ? MANY_TASKS_EVERY_US : WAIT_EVERY_US);
    if (run->nice > 0)
        cell_set_share(&run->slot->cell, run->sampler,
                       (struct sampled_share){run->grouped ? 0 : run->nice, run->slot->cpu});
}
