/* Theory of operation
 *
 * How the run's tasks compete with others for the cores: how long others have delayed them, and their share.
 *
 * Delay: a task waits for a core that another task has. If the other task is of the run as well, it uses CPU time
 * meanwhile; so does the sandbox, for what it does for the run. So other runs have delayed a task for the time by which
 * its wait exceeds the CPU time of all other tasks of its run, the slot's and its init's. No program can make itself look delayed, however many tasks it has. The longest delay of one task is a
 * lower bound for the whole run.
 *
 * The kernel adds a wait only when it is over. So a task that is runnable in two samples, and has not run in between,
 * is taken to have waited from one to the other. Tasks that have ended are not counted. Where CPU time is read in
 * ticks, four figures of each process may lack a tick: user and system time, its own and that of the children that it
 * has waited for. So as many ticks are subtracted. A task waits a moment even for a free core, and longer for one on
 * which a kernel thread works for the run. So LATENCY_US is subtracted for each turn. Without that, a program that
 * sleeps thousands of times would look delayed. */
#define _GNU_SOURCE
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "proctext.h"
#include "sampler.h"
#include "sampler_internal.h"

#define LATENCY_US UINT64_C(50) /* two programs that share a core take turns of some milliseconds */
#define TIMES_A_PROCESS 4U /* user and system time, its own and of the children that it has waited for */

struct wait_pass {
    const struct sampler *sampler;
    pid_t pid;
    unsigned processes;
    uint64_t now_us;
    uint64_t cpu_us;
    struct sampled_wait *waits;
    size_t runnable_count;
    struct sampled_task runnable[SAMPLER_MAX_RUNNABLE];
};

/* Returns for how long a runnable task has not run, as far as the samples show. */
static uint64_t still_us(struct wait_pass *pass, pid_t task, uint64_t ran, uint64_t waited) {
    const struct sampler *sampler = pass->sampler;
    uint64_t since = pass->now_us;

    for (size_t i = 0; i < sampler->runnable_count; i++) {
        const struct sampled_task *before = &sampler->runnable[i];

        if (before->task == task && before->ran_us == ran && before->waited_us == waited)
            since = before->since_us;
    }
    if (pass->runnable_count < SAMPLER_MAX_RUNNABLE)
        pass->runnable[pass->runnable_count++] = (struct sampled_task){task, ran, waited, since};
    return pass->now_us - since;
}

static void take_wait_of_task(void *context, pid_t task) {
    struct wait_pass *pass = context;
    struct proctext_stat figures;
    struct proctext_schedstat schedstat;
    char text[128];
    uint64_t own;
    bool is_runnable = sampler_read_stat(pass->sampler, pass->pid, task, &figures) && figures.state == 'R';

    pass->waits->runnable += is_runnable;
    if (sampler_read_task(pass->sampler, pass->pid, task, "schedstat", text, sizeof text) <= 0 ||
        !proctext_schedstat(text, &schedstat))
        return;
    if (is_runnable)
        schedstat.waited_us += still_us(pass, task, schedstat.ran_us, schedstat.waited_us);
    own = pass->cpu_us > schedstat.ran_us ? pass->cpu_us - schedstat.ran_us : 0;
    own += schedstat.turns < UINT64_MAX / 2 / LATENCY_US ? schedstat.turns * LATENCY_US : UINT64_MAX / 2;
    if (schedstat.waited_us > own && schedstat.waited_us - own > pass->waits->delay_us)
        pass->waits->delay_us = schedstat.waited_us - own;
}

static void take_wait(void *context, pid_t pid) {
    struct wait_pass *pass = context;

    pass->pid = pid;
    pass->processes++;
    sampler_each_task(pass->sampler->proc, pid, take_wait_of_task, pass);
}

void sampler_take_wait(struct sampler *sampler, uint64_t now_us, uint64_t cpu_us, struct sampled_wait *waits) {
    struct wait_pass pass = {.sampler = sampler, .now_us = now_us, .cpu_us = cpu_us, .waits = waits};
    uint64_t unseen_us;

    *waits = (struct sampled_wait){0, 0};
    (void)sampler_each_process(sampler, take_wait, &pass);
    memcpy(sampler->runnable, pass.runnable, pass.runnable_count * sizeof *pass.runnable);
    sampler->runnable_count = pass.runnable_count;
    unseen_us = sampler_to_us(sampler, (uint64_t)pass.processes * TIMES_A_PROCESS);
    waits->delay_us = waits->delay_us > unseen_us ? waits->delay_us - unseen_us : 0;
}

struct share_pass {
    const struct sampler *sampler;
    struct sampled_share share;
};

/* Failures are ignored: a task that has ended meanwhile needs no share. */
static void share_task(pid_t task, const struct sampled_share *share) {
    cpu_set_t set;

    if (share->nice > 0)
        (void)setpriority(PRIO_PROCESS, (id_t)task, share->nice);
    if (share->cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)share->cpu, &set);
    (void)sched_setaffinity(task, sizeof set, &set);
}

static void set_share_of_task(void *context, pid_t task) {
    share_task(task, &((struct share_pass *)context)->share);
}

static void set_share(void *context, pid_t pid) {
    const struct share_pass *pass = context;

    sampler_each_task(pass->sampler->proc, pid, set_share_of_task, context);
}

void sampler_set_share(struct sampler *sampler, struct sampled_share share) {
    struct share_pass pass = {sampler, share};

    (void)sampler_each_process(sampler, set_share, &pass);
}

void sampler_share_tasks(const pid_t *tasks, size_t task_count, struct sampled_share share) {
    for (size_t i = 0; i < task_count; i++)
        share_task(tasks[i], &share);
}

struct number_pass {
    const struct sampler *sampler;
    pid_t pid;
    pid_t *tasks;
    size_t size;
    size_t count;
};

static void add_number(void *context, pid_t task) {
    struct number_pass *pass = context;
    char text[2048];
    pid_t number;

    if (pass->count == pass->size || sampler_read_task(pass->sampler, pass->pid, task, "status", text, sizeof text) <= 0)
        return;
    number = (pid_t)proctext_last_number(text, "NSpid:");
    if (number > 0)
        pass->tasks[pass->count++] = number;
}

static void add_numbers(void *context, pid_t pid) {
    struct number_pass *pass = context;

    pass->pid = pid;
    sampler_each_task(pass->sampler->proc, pid, add_number, pass);
}

size_t sampler_own_numbers(struct sampler *sampler, pid_t *tasks, size_t size) {
    struct number_pass pass = {.sampler = sampler, .tasks = tasks, .size = size};

    (void)sampler_each_process(sampler, add_numbers, &pass);
    return pass.count;
}
