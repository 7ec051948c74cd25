/* Samples a running program and ends it when a figure is over its limit. Decides when the next sample is due. */
#define _GNU_SOURCE
#include <sys/random.h>
#include <unistd.h>

#include "bare.h"
#include "proctext.h"
#include "run_internal.h"

#define FREE_SOCKETS UINT64_C(64)
#define SOCKET_BYTES (UINT64_C(208) << 10) /* one socket's longest queue: net.core.wmem_default */

/* Returns how long the CPU limit cannot be passed, even if the run uses all cores, and at least SAMPLE_US. */
static uint64_t until_cpu_us(const struct run *run, uint64_t cpu_us) {
    return SAMPLE_US + saturating_sub(run->request->limits.cpu_us, cpu_us) / run->slot->cores;
}

static uint64_t sample_group(struct run *run, uint64_t now) {
    uint64_t cpu = saturating_sub(cgroup_run_sample(&run->group), run->payload.cpu_us);

    run->next_sample_us = now + least(LAZY_SAMPLE_US, until_cpu_us(run, cpu));
    return cpu;
}

/* Returns an upper estimate of the bytes queued in sockets. They are kernel memory, in no resident set. They may belong
 * to no open descriptor: a listener holds thousands of full connections that were not accepted, whose other ends are
 * closed. The kernel tells the number of sockets, but not their bytes. So each socket beyond FREE_SOCKETS, which no
 * honest program needs, counts as full. */
static uint64_t queued_bytes(const struct run *run) {
    const struct cell *cell = &run->slot->cell;
    char text[1024];
    ssize_t size = pread(cell->sockstat, text, sizeof text - 1, 0);

    if (size <= 0)
        return 0;
    text[size] = 0;
    return saturating_sub(proctext_number(text, "sockets: used"), cell->sockets + FREE_SOCKETS) * SOCKET_BYTES;
}

/* Returns a random wait of SAMPLER_MEAN_US on average. However long it has lasted, it is as likely to end at the next
 * moment: see sampler_cpu.c. */
static uint64_t random_wait_us(void) {
    unsigned char drawn[64]; /* so the longest wait is four times the mean: one draw in 60 */
    uint64_t wait = 0;

    if (getrandom(drawn, sizeof drawn, GRND_NONBLOCK) < 0)
        return SAMPLER_MEAN_US; /* only when a host has just started */
    for (size_t i = 0; i < sizeof drawn; i++) {
        wait += SAMPLER_MEAN_US / 16;
        if (drawn[i] % 16 == 0)
            break;
    }
    return wait;
}

/* Returns whether the next sample may wait until the memory limit can be passed. The kernel keeps the peak of one
 * process. The peak of the sum of several is known from our samples alone, and a compiler's is never shown. At one
 * sample a millisecond we took a fifth of the CPU time of the smallest compilation. A compiler's processes that start and
 * end are sampled more often, for a chain of them might hide memory (sampler_memory.c). */
static bool may_be_lazy(const struct run *run, const struct sample *sample) {
    if (!run->several)
        return true;
    return run->slot->cell.policy == DOJ_POLICY_COMPILE && !sample->changed && run->sampler->doubt == 0;
}

/* The kernel, where it enforces the quota, refuses the process that would be one too many. */
static bool has_too_many_tasks(struct run *run, const struct sample *sample) {
    struct slot *slot = run->slot;
    unsigned limit = run->request->limits.processes;

    if (slot->launcher->process_quota || sample->tasks <= limit || run->result->ended_by != DOJ_ENDED_ITSELF)
        return false;
    if (slot->launcher->weak)
        bare_reap(&slot->cell, run->pid); /* orphans that ended during the sample would only slow the count down */
    return sampler_tasks_at_once(run->sampler) > limit;
}

static uint64_t sample_tree(struct run *run, uint64_t now) {
    const struct doj_limits *limits = &run->request->limits;
    struct doj_result *result = run->result;
    struct sample sample;
    uint64_t cpu;
    uint64_t exact;
    uint64_t wait;

    if (run->slot->launcher->weak)
        bare_reap(&run->slot->cell, run->pid);
    run->sampler->reaped_us = run->slot->cell.tally->cpu_us; /* before the sample, so that no process is counted twice */
    bare_become_payload(run->slot->launcher);
    sampler_take(run->sampler, now, limits->memory_bytes, &sample);
    bare_become_root(run->slot->launcher);
    /* at weak no file system bounds the scratch */
    if (run->slot->launcher->weak && !bare_is_within(&run->slot->cell, run->sampler, now))
        run_end(run, DOJ_ENDED_OUTPUT);
    sample.memory_bytes += queued_bytes(run);
    if (sample.memory_bytes > result->memory_bytes)
        result->memory_bytes = sample.memory_bytes;
    if (sample.memory_bytes > limits->memory_bytes)
        run_end(run, DOJ_ENDED_MEMORY);
    if (has_too_many_tasks(run, &sample))
        run_end(run, DOJ_ENDED_PROCESSES);
    /* The sampled figure is in ticks. By it alone a run would be ended up to a tick late or early. */
    exact = saturating_sub(sys_cpu_of_us(run->pid) + run->sampler->reaped_us, run->payload.cpu_us);
    cpu = saturating_sub(sample.cpu_us, run->payload.cpu_us);
    if (exact > cpu || (sample.processes <= 1 && !run->loses_children))
        cpu = exact;
    if (run->loses_children) /* the estimate may be more than all cores could give since the start */
        cpu = least(cpu, saturating_sub(sys_now_us(), run->payload.monotonic_us) * run->slot->cores);
    cpu = run_at_least_counted(run, cpu) + run_heard_too_much_us(run);
    run->several = run->several || sample.processes > 1;
    wait = SAMPLE_US;
    if (run->loses_children) /* so that a program cannot expect the moment of the sample */
        wait = random_wait_us();
    else if (may_be_lazy(run, &sample) && run->slot->launcher->process_quota)
        wait = least(LAZY_SAMPLE_US,
                     saturating_sub(limits->memory_bytes, sample.memory_bytes) / (TOUCH_BYTES_US * run->slot->cores));
    if (wait < SAMPLE_US && !run->loses_children)
        wait = SAMPLE_US;
    wait = least(wait, until_cpu_us(run, cpu));
    run->sampler->planned_us = wait;
    run->next_sample_us = sys_now_us() + wait;
    return cpu;
}

/* Closes our end of a joined output that a living payload has closed, so that the other run reads its end. */
static void check_held_output(struct run *run) {
    const struct slot *slot = run->slot;

    if (run->held >= 0 && hold_is_shut(&slot->hold, slot->launcher->host_proc, run->pid))
        sys_close(&run->held);
}

/* The wall limit bounds the time that a program itself lets pass. Delay by others does not count: otherwise a neighbour
 * could make the program fail. */
static void check_wall_limit(struct run *run, uint64_t now) {
    uint64_t limit = run->request->limits.wall_us;

    run_sample_waits(run, now);
    limit = least(limit + run->result->delay_us, limit * DOJ_WALL_STRETCH);
    run->wall_end_us = run->payload.monotonic_us + limit + 1;
    if (now >= run->wall_end_us)
        run_end(run, DOJ_ENDED_WALL);
    else if (run->wall_end_us < now + SAMPLE_US)
        run->wall_end_us = now + SAMPLE_US;
}

void run_check_limits(struct run *run, uint64_t now) {
    const struct doj_limits *limits = &run->request->limits;
    uint64_t cpu = run->grouped ? sample_group(run, now) + run_heard_too_much_us(run) : sample_tree(run, now);

    if (cpu > run->result->cpu_us)
        run->result->cpu_us = cpu;
    if (cpu > limits->cpu_us)
        run_end(run, DOJ_ENDED_CPU);
    if (now >= run->wall_end_us)
        check_wall_limit(run, now);
    else if (now >= run->next_wait_us)
        run_sample_waits(run, now);
    run_sample_written(run);
    if (run->written_bytes > limits->output_bytes)
        run_end(run, DOJ_ENDED_OUTPUT);
    check_held_output(run);
}
