/* Theory of operation
 *
 * One run, from the slot's side. The slot is outside of the run. It holds the clocks, the pipes and the limits, and it
 * alone decides to end the run.
 *
 *     node ══ socket ══ slot ══ stdout and stderr pipes ══ payload ── all that it forks
 *                        ╚══════ orders ══════ init (process 1 of the cell)
 *
 * One loop waits for: output (drained at once, counted to the byte, kept up to the cap), the payload's end, the init's
 * answer, the node (a cancel, or its end), and the time of the next sample. The first cause that ends a run stands. The
 * run's *verdict* is decided by the node from the figures, not here.
 *
 * A run is over when its payload is reaped and its cell is empty. If no process outlives the
 * payload, one look at the cell confirms that. Otherwise the init is asked to kill. If that takes longer than EMPTY_US, the slot
 * kills the init. The kernel then empties the cell, which is spent. Only after that are files copied out and the answer
 * sent.
 *
 * Two runs may be joined: the stdout of each is a pipe that is the stdin of the other. No process relays between them,
 * for a slot that passed each line on would make a round trip five times as long. Two facts are known nevertheless:
 *
 *     How much was written. Each sample reads the kernel's count of each process's writes: a flood is seen within
 *     LAZY_SAMPLE_US.
 *     Which run ended first. The slot holds a writing end beside its payload's, and closes it only after it has
 *     recorded the time of the end. So the other run cannot read the end of its input before that time, however late
 *     the slot was woken. If one end caused the other, it has the earlier time. A payload that closes its output and
 *     lives on is noticed within LAZY_SAMPLE_US, and the slot closes its end then (hold.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "disown.h"
#include "proctext.h"
#include "sampler.h"
#include "slot.h"
#include "sys.h"

#define EMPTY_US UINT64_C(2000000)
#define SAMPLE_US UINT64_C(1000)
#define LAZY_SAMPLE_US UINT64_C(20000)
#define COUNT_SLACK_US UINT64_C(2000)
#define WAIT_EVERY_US UINT64_C(100000) /* between two samples of all tasks' waits */
#define CROWD_AGAIN_US UINT64_C(20000) /* sooner, when the run may have many runnable tasks */
#define MODEST_TASKS 2U
#define NICE_0_WEIGHT 1024U /* in the scheduler; each step of niceness takes a fifth off */
#define TOUCH_BYTES_US UINT64_C(4096) /* a core touches 3.4 GB/s of small pages at most */
#define FREE_SOCKETS UINT64_C(64)
#define FREE_HEARING_US UINT64_C(50000)
#define SOCKET_BYTES (UINT64_C(208) << 10) /* one socket's longest queue: net.core.wmem_default */

struct run {
    struct slot *slot;
    const struct doj_request *request;
    struct doj_result *result;
    int *fds;
    struct payload payload;
    pid_t pid;
    int pidfd;
    struct stream streams[2];
    int held; /* a writing end of the joined output, beside the payload's; -1 once closed */
    struct cgroup_run group;
    bool grouped;
    struct sampler sampler;
    bool loses_children; /* the run may lose children, and their CPU time with them: disown.c */
    uint64_t heard_us;   /* our own CPU time for handling its disown notifications */
    bool several;        /* it has had more than one process */
    bool reaped;
    bool asked; /* the init was asked to kill */
    bool spent; /* the init is gone */
    bool node_gone;
    struct rusage usage;
    uint64_t asked_us;
    uint64_t next_sample_us;
    uint64_t next_wait_us;
    unsigned runnable; /* runnable tasks in the last sample */
    int nice;
    uint64_t wall_end_us;
    uint64_t written_bytes; /* output to a joined run, by the kernel's count */
};

static uint64_t less(uint64_t from, uint64_t amount) { return from > amount ? from - amount : 0; }

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static void fault(struct run *run, const char *step, int error) {
    if (run->result->fault.step[0] == 0)
        sys_set_fault(&run->result->fault, step, error);
}

static bool is_faulted(const struct run *run) { return run->result->fault.step[0] != 0; }

static bool is_joined(const struct run *run) { return (run->request->flags & DOJ_FLAG_STDOUT_PIPE) != 0; }

static void note_end(struct run *run) {
    if (run->result->ended_us == 0)
        run->result->ended_us = sys_now_us();
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

static void reap(struct run *run, int options) {
    struct doj_result *result = run->result;
    int status;
    pid_t pid;

    do
        pid = wait4(run->pid, &status, options, &run->usage);
    while (pid < 0 && errno == EINTR);
    if (pid != run->pid)
        return;
    run->reaped = true;
    result->wall_us = sys_now_us() - run->payload.monotonic_us;
    note_end(run);
    sys_close(&run->held);
    if (WIFSIGNALED(status))
        result->exit_signal = (uint32_t)WTERMSIG(status);
    else
        result->exit_code = (uint32_t)WEXITSTATUS(status);
}

/* Ends a cell whose init is gone or useless; all processes of the run die with it. If we did not end the run, the
 * kernel or an operator killed the init: the program has no means to. */
static void on_spent(struct run *run) {
    run->spent = true;
    cell_kill(&run->slot->cell);
    if (!run->reaped) {
        if (run->result->ended_by == DOJ_ENDED_ITSELF)
            fault(run, "init_died", -ECHILD);
        reap(run, 0); /* before the init: its end waits until all processes in the cell are reaped */
    }
    cell_end(&run->slot->cell);
}

static void empty(struct run *run) {
    if (run->asked || run->spent)
        return;
    run->asked = true;
    run->asked_us = sys_now_us();
    if (run->grouped)
        cgroup_run_kill(&run->group);
    if (cell_ask_empty(&run->slot->cell) != 0)
        on_spent(run);
}

/* Samples how much a joined run has written. /proc/PID/io is unreadable after the process has exited. So the figure
 * lacks writes between the last sample and the end. It also lacks those of processes that had exited by then and had
 * not been waited for. */
static void sample_written(struct run *run) {
    uint64_t written = is_joined(run) ? sampler_written(&run->sampler) : 0;

    if (written > run->written_bytes)
        run->written_bytes = written;
}

static void end(struct run *run, enum doj_ended cause) {
    if (run->result->ended_by == DOJ_ENDED_ITSELF && !run->reaped) {
        run->result->ended_by = cause;
        note_end(run);
        sample_written(run);
    }
    empty(run);
}

/* Records a failure of ours while the program runs. The run must be ended, and the program is not to blame. */
static void fail(struct run *run, const char *step, int error) {
    fault(run, step, error);
    end(run, DOJ_ENDED_CANCELLED);
}

static bool is_over(const struct run *run) {
    return run->reaped && (run->spent || (run->asked && run->slot->cell.owed == 0));
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* Past the limit the run is ended. The rest of the pipe is still read, but only counted. */
static void on_output(struct run *run, struct stream *stream) {
    int error = stream_drain(stream, run->slot->drain);

    if (error != 0)
        fail(run, "keep_output", error);
    if (run->streams[0].length + run->streams[1].length > run->request->limits.output_bytes)
        end(run, DOJ_ENDED_OUTPUT);
}

static void on_payload_end(struct run *run) {
    reap(run, WNOHANG);
    if (!run->reaped || run->asked || run->spent)
        return;
    if (cell_is_empty(&run->slot->cell))
        run->asked = true; /* as if asked and answered: no answer is owed */
    else
        empty(run);
}

static void on_init(struct run *run) {
    if (cell_hear(&run->slot->cell) == 0)
        on_spent(run);
}

static void on_disowning(struct run *run) {
    const struct cell *cell = &run->slot->cell;
    const struct launcher *launcher = run->slot->launcher;
    uint64_t before_us = sys_cpu_us();
    bool lost = disown_hear(cell->disowning, !run->loses_children, launcher->host_proc, getpid(), cell->init);

    run->heard_us += less(sys_cpu_us(), before_us);
    if (!lost || run->loses_children)
        return;
    run->loses_children = true;
    sampler_lose(&run->sampler, launcher->host_proc, getpid(), cell->init);
    run->next_sample_us = sys_now_us();
}

/* While a run is under way the node may only cancel it, or close the socket. */
static void on_node(struct run *run) {
    unsigned char message[64];
    size_t count;
    uint64_t serial;
    ssize_t size = sys_receive(run->slot->sock, message, sizeof message, NULL, 0, &count);

    if (size <= 0 || doj_peek(message, (size_t)size, &serial) != DOJ_CANCEL) {
        run->node_gone = true;
        end(run, DOJ_ENDED_CANCELLED);
    } else if (serial == run->request->serial) {
        end(run, DOJ_ENDED_CANCELLED);
    }
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

/* The limit cannot be passed sooner than by all cores at once. */
static uint64_t until_cpu_us(const struct run *run, uint64_t cpu_us) {
    return SAMPLE_US + less(run->request->limits.cpu_us, cpu_us) / run->slot->cores;
}

/* CPU time of the group without ours and the init's. Ours is read later than the group's, so it is larger. The result
 * is too small by the time between the two reads. */
uint64_t run_counted_us(const struct slot *slot) {
    uint64_t all;

    if (slot->cpu_stat < 0)
        return 0;
    all = cgroup_usage_us(slot->cpu_stat);
    return less(all, sys_cpu_us() + sys_cpu_of_us(slot->cell.init));
}

/* Our CPU time for a run that sets handlers again and again. What exceeds any shell's use counts as the run's CPU
 * time. */
static uint64_t heard_too_much_us(const struct run *run) { return less(run->heard_us, FREE_HEARING_US); }

/* The group's figure for this run, if it exceeds the processes' own. Children that their parent does not wait for (it
 * ignores SIGCHLD) are counted by the group alone. Below COUNT_SLACK_US the processes' own figures are better. */
static uint64_t at_least_counted(const struct run *run, uint64_t cpu_us) {
    uint64_t counted = less(run_counted_us(run->slot), run->slot->counted_us + run->payload.cpu_us);

    return counted > cpu_us + COUNT_SLACK_US ? counted : cpu_us;
}

static uint64_t sample_group(struct run *run, uint64_t now) {
    uint64_t cpu = less(cgroup_run_sample(&run->group), run->payload.cpu_us);

    run->next_sample_us = now + least(LAZY_SAMPLE_US, until_cpu_us(run, cpu));
    return cpu;
}

/* An upper estimate of what sockets have queued. That is kernel memory and in no resident set. Not all of it belongs to
 * open descriptors: a listener holds thousands of connections that were not accepted, each full, whose other ends are
 * closed. The kernel does not tell the bytes, but it tells the number of sockets, and no program needs so many. */
static uint64_t queued_bytes(const struct run *run) {
    const struct cell *cell = &run->slot->cell;
    char text[1024];
    ssize_t size = pread(cell->sockstat, text, sizeof text - 1, 0);

    if (size <= 0)
        return 0;
    text[size] = 0;
    return less(proctext_number(text, "sockets: used"), cell->sockets + FREE_SOCKETS) * SOCKET_BYTES;
}

/* A random wait of SAMPLER_MEAN_US on average. At each moment it is as likely to end, however long it has lasted: see
 * sampler_cpu.c. */
static uint64_t random_wait_us(void) {
    unsigned char drawn[64]; /* the longest wait is four times the mean, once in 60 draws */
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

static uint64_t sample_tree(struct run *run, uint64_t now) {
    const struct doj_limits *limits = &run->request->limits;
    struct doj_result *result = run->result;
    struct sample sample;
    uint64_t cpu;
    uint64_t exact;
    uint64_t wait;

    if (run->slot->launcher->weak)
        bare_reap(&run->slot->cell, run->pid);
    run->sampler.reaped_us = run->slot->cell.tally->cpu_us; /* before the sample, so that no process is counted twice */
    sampler_take(&run->sampler, now, limits->memory_bytes, &sample);
    /* at weak no file system bounds the scratch */
    if (run->slot->launcher->weak && !bare_is_within(&run->slot->cell, &run->sampler, now))
        end(run, DOJ_ENDED_OUTPUT);
    sample.memory_bytes += queued_bytes(run);
    if (sample.memory_bytes > result->memory_bytes)
        result->memory_bytes = sample.memory_bytes;
    if (sample.memory_bytes > limits->memory_bytes)
        end(run, DOJ_ENDED_MEMORY);
    /* Not where the kernel enforces the quota: a pass may see one process end and also its successor start. */
    if (!run->slot->launcher->process_quota && sample.tasks > limits->processes)
        end(run, DOJ_ENDED_PROCESSES);
    /* the sampled figure is in ticks; by it alone a run would end up to a tick late or early */
    exact = less(sys_cpu_of_us(run->pid) + run->sampler.reaped_us, run->payload.cpu_us);
    cpu = less(sample.cpu_us, run->payload.cpu_us);
    if (exact > cpu || (sample.processes <= 1 && !run->loses_children))
        cpu = exact;
    if (run->loses_children) /* the estimate may be too high; all cores for the whole time is an upper bound */
        cpu = least(cpu, less(sys_now_us(), run->payload.monotonic_us) * run->slot->cores);
    cpu = at_least_counted(run, cpu) + heard_too_much_us(run);
    run->several = run->several || sample.processes > 1;
    /* Of one process the kernel keeps the peak. Of several, only our samples know the sum. */
    wait = SAMPLE_US;
    if (run->loses_children) /* at no moment that a program could expect */
        wait = random_wait_us();
    else if (!run->several && run->slot->launcher->process_quota)
        wait = least(LAZY_SAMPLE_US, less(limits->memory_bytes, sample.memory_bytes) / (TOUCH_BYTES_US * run->slot->cores));
    else if (wait < SAMPLE_US)
        wait = SAMPLE_US;
    wait = least(wait, until_cpu_us(run, cpu));
    run->sampler.planned_us = wait;
    run->next_sample_us = sys_now_us() + wait;
    return cpu;
}

/* Lets the other side read the end of an output that a living payload has closed. */
static void check_held_output(struct run *run) {
    const struct slot *slot = run->slot;

    if (run->held >= 0 && hold_is_shut(&slot->hold, slot->launcher->host_proc, run->pid))
        sys_close(&run->held);
}

/* The niceness at which all tasks together weigh about as much as one. Where no group limits a run's share of the
 * cores, the scheduler may share them among tasks, and many tasks would displace the only task of the other slot.
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

static void sample_waits(struct run *run, uint64_t now) {
    struct sampled_wait waits;
    int nice;

    sampler_take_wait(&run->sampler, now, run->result->cpu_us, &waits);
    /* a larger value is from before it was the program */
    waits.delay_us = least(waits.delay_us, less(now, run->payload.monotonic_us));
    if (waits.delay_us > run->result->delay_us)
        run->result->delay_us = waits.delay_us;
    /* Two samples in a row, so that a short burst of a runtime's threads does not count. */
    nice = nice_of(waits.runnable < run->runnable ? waits.runnable : run->runnable);
    run->runnable = waits.runnable;
    if (nice > run->nice)
        run->nice = nice;
    run->next_wait_us = now + (waits.runnable > MODEST_TASKS && run->nice == 0 ? CROWD_AGAIN_US : WAIT_EVERY_US);
    if (run->nice > 0)
        cell_set_share(&run->slot->cell, &run->sampler, (struct sampled_share){run->grouped ? 0 : run->nice, run->slot->cpu});
}

/* The wall limit bounds the time that a program itself lets pass. Delay by others does not count: otherwise a neighbour
 * could make the program fail. */
static void check_wall_limit(struct run *run, uint64_t now) {
    uint64_t limit = run->request->limits.wall_us;

    sample_waits(run, now);
    limit = least(limit + run->result->delay_us, limit * DOJ_WALL_STRETCH);
    run->wall_end_us = run->payload.monotonic_us + limit + 1;
    if (now >= run->wall_end_us)
        end(run, DOJ_ENDED_WALL);
    else if (run->wall_end_us < now + SAMPLE_US)
        run->wall_end_us = now + SAMPLE_US;
}

static void check_limits(struct run *run, uint64_t now) {
    const struct doj_limits *limits = &run->request->limits;
    uint64_t cpu = run->grouped ? sample_group(run, now) : sample_tree(run, now);

    if (cpu > run->result->cpu_us)
        run->result->cpu_us = cpu;
    if (cpu > limits->cpu_us)
        end(run, DOJ_ENDED_CPU);
    if (now >= run->wall_end_us)
        check_wall_limit(run, now);
    else if (now >= run->next_wait_us)
        sample_waits(run, now);
    sample_written(run);
    if (run->written_bytes > limits->output_bytes)
        end(run, DOJ_ENDED_OUTPUT);
    check_held_output(run);
}

static void on_time(struct run *run) {
    uint64_t now = sys_now_us();

    if (run->asked) {
        if (now >= run->asked_us + EMPTY_US)
            on_spent(run);
    } else if (!run->reaped && (now >= run->next_sample_us || now >= run->wall_end_us)) {
        check_limits(run, now);
    }
}

/* Time until the next sample or deadline. */
static struct timespec next_moment(const struct run *run) {
    uint64_t at = run->asked ? run->asked_us + EMPTY_US : least(run->wall_end_us, run->next_sample_us);
    uint64_t wait = less(at, sys_now_us());

    return (struct timespec){(time_t)(wait / 1000000U), (long)(wait % 1000000U) * 1000};
}

static void watch(struct run *run) {
    struct cell *cell = &run->slot->cell;

    while (!is_over(run)) {
        struct timespec timeout = next_moment(run);
        struct pollfd watched[] = {
            {.fd = run->reaped ? -1 : run->pidfd, .events = POLLIN},
            {.fd = cell->channel, .events = POLLIN},
            {.fd = run->node_gone ? -1 : run->slot->sock, .events = POLLIN},
            {.fd = run->streams[0].pipe, .events = POLLIN},
            {.fd = run->streams[1].pipe, .events = POLLIN},
            {.fd = cell->disowning, .events = POLLIN},
        };

        if (ppoll(watched, sizeof watched / sizeof *watched, &timeout, NULL) < 0 && errno != EINTR)
            fail(run, "poll", -errno);
        for (int i = 0; i < 2; i++)
            if (watched[3 + i].revents != 0)
                on_output(run, &run->streams[i]);
        if (watched[5].revents != 0)
            on_disowning(run);
        if (watched[2].revents != 0)
            on_node(run);
        /* A dying init closes its channel before its payload dies. In this order we know which of them ended first. */
        if (watched[1].revents != 0)
            on_init(run);
        if (watched[0].revents != 0 && !run->reaped)
            on_payload_end(run);
        if (!is_over(run))
            on_time(run);
    }
}

/* ---- before ------------------------------------------------------------------------------------------------------ */

static void prepare_streams(struct run *run) {
    const struct doj_request *request = run->request;
    int *pipes = run->slot->cell.pipes;

    run->streams[0] = (struct stream){.pipe = pipes[0],
                                      .keep = run->fds[1],
                                      .whole = (request->flags & DOJ_FLAG_STDOUT_TO) ? run->fds[3] : -1,
                                      .keep_bytes = request->limits.keep_stdout_bytes,
                                      .whole_bytes = request->limits.output_bytes};
    run->streams[1] = (struct stream){
        .pipe = pipes[2], .keep = run->fds[2], .whole = -1, .keep_bytes = request->limits.keep_stderr_bytes};
    run->payload.stdout_fd = pipes[1];
    run->payload.stderr_fd = pipes[3];
    if (is_joined(run)) { /* the cell's own stdout pipe is not used */
        sys_close(&run->streams[0].pipe);
        sys_close(&pipes[1]);
        run->payload.stdout_fd = run->fds[3];
        run->fds[3] = -1;
    }
    pipes[0] = pipes[1] = pipes[2] = pipes[3] = -1;
}

static int prepare_group(struct run *run) {
    struct slot *slot = run->slot;

    if (slot->launcher->cgroup < 0)
        return 0;
    run->grouped = true;
    run->group = slot->spare;
    slot->spare = (struct cgroup_run){.dir = -1, .cpu_stat = -1, .memory_current = -1};
    if (run->group.dir < 0) {
        int error = cgroup_run_create(slot->launcher->cgroup, slot->number, &run->group);

        if (error != 0)
            return error;
    }
    return cgroup_run_limit(&run->group, &run->request->limits);
}

/* A group is charged with the page cache of a file that it is the first to read. It would count as the program's
 * memory, up to its limit. So we read the input first. */
static int warm_input(const struct run *run) {
    struct stat status;
    off_t at = 0;
    ssize_t count = 1;

    if (!run->grouped || fstat(run->payload.stdin_fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    while (count > 0) {
        count = pread(run->payload.stdin_fd, run->slot->drain, STREAM_DRAIN_BYTES, at);
        at += count;
    }
    return count < 0 ? -errno : 0;
}

/* A payload is born in our memory, and the kernel's peak for it starts with all pages that we have ever touched. If
 * only runs with much output touched this buffer, each later run would weigh more, and could tell. */
static void touch_buffer(struct slot *slot) {
    for (size_t at = 0; at < sizeof slot->drain; at += 4096)
        *(volatile char *)&slot->drain[at] = 0;
}

static int take_output(struct run *run) {
    const struct slot *slot = run->slot;

    if (!is_joined(run))
        return 0;
    run->held = hold_take(&slot->hold, slot->launcher->host_proc, run->payload.stdout_fd);
    return run->held < 0 ? run->held : 0;
}

static void prepare(struct run *run) {
    struct slot *slot = run->slot;
    size_t files = 3U + (run->request->flags != 0 ? 1U : 0U);
    const char *step = "cell";
    int error;

    if (slot->cell.fault.step[0] != 0) {
        run->result->fault = slot->cell.fault;
        return;
    }
    touch_buffer(slot);
    error = cell_settle(&slot->cell);
    if (error == 0) {
        prepare_streams(run);
        step = "files_in";
        error = scratch_fill(&slot->cell, &slot->store, run->request, run->fds + files);
    }
    if (error == 0) {
        step = "stdin";
        run->payload.stdin_fd = scratch_input(&slot->cell, run->fds[0]);
        error = run->payload.stdin_fd < 0 ? run->payload.stdin_fd : 0;
    }
    if (error == 0) {
        step = "cgroup";
        error = prepare_group(run);
    }
    if (error == 0 && run->grouped && slot->cell.policy == DOJ_POLICY_RUN) {
        step = "rates";
        error = cgroup_run_rate(&run->group, &slot->launcher->rates);
    }
    if (error == 0 && slot->launcher->weak) {
        step = "words";
        error = bare_place(&slot->cell, run->request, &slot->words);
        run->payload.argv = slot->words.argv;
        run->payload.env = slot->words.env;
        if (error == 0 && fstat(run->payload.stdin_fd, &slot->cell.bare.input) != 0)
            error = -errno;
    }
    if (error == 0) {
        step = "read_input";
        error = warm_input(run);
    }
    if (error == 0) {
        step = "hold_output";
        error = take_output(run);
    }
    if (error != 0)
        fault(run, step, error);
}

/* Lets the host's out-of-memory killer choose the run first: the run inherits our score. */
static void set_oom_score(const struct slot *slot, const char *score) {
    if (slot->oom_score >= 0 && pwrite(slot->oom_score, score, strlen(score), 0) < 0)
        return; /* then the host chooses by its own rules */
}

static void open_sampler(struct run *run) {
    const struct slot *slot = run->slot;

    if (slot->cell.proc >= 0)
        sampler_open(&run->sampler, slot->cell.proc);
    else
        sampler_open_tree(&run->sampler, slot->launcher->host_proc, getpid(), slot->cell.init);
    if (slot->cpu_stat < 0 && slot->cell.disowning < 0 && !run->grouped) {
        run->loses_children = true;
        sampler_lose(&run->sampler, slot->launcher->host_proc, getpid(), slot->cell.init);
    }
}

static void start(struct run *run) {
    struct payload *payload = &run->payload;
    struct slot *slot = run->slot;

    slot->cell.tally->cpu_us = 0;
    slot->cell.tally->maxrss_bytes = 0;
    set_oom_score(slot, "1000");
    run->pid = sys_spawn(child_main, payload, run->grouped ? run->group.dir : -1, &run->pidfd);
    set_oom_score(slot, slot->own_oom_score);
    /* not the other two: the end of their last writer would wake us once more for nothing */
    sys_close(&payload->stdin_fd);
    if (is_joined(run))
        sys_close(&payload->stdout_fd); /* the payload's alone from now on */
    if (run->pid < 0) {
        fault(run, "clone", run->pid);
        return;
    }
    if (payload->step != NULL)
        fault(run, payload->step, payload->error);
    else if (!payload->ready) /* killed from outside before exec: a memory controller with too little memory */
        fault(run, "payload_died", -ECHILD);
    if (is_faulted(run)) {
        reap(run, 0);
        run->result->exit_code = run->result->exit_signal = 0; /* of our own setup code: there was no program */
        run->result->wall_us = 0;
        return;
    }
    open_sampler(run);
    run->wall_end_us = payload->monotonic_us + run->request->limits.wall_us + 1;
    run->next_wait_us = payload->monotonic_us + CROWD_AGAIN_US;
    run->next_sample_us = payload->monotonic_us + SAMPLE_US;
    if (slot->launcher->process_quota || run->grouped)
        run->next_sample_us = payload->monotonic_us + least(LAZY_SAMPLE_US, run->request->limits.memory_bytes / (TOUCH_BYTES_US * slot->cores));
}

/* ---- after ------------------------------------------------------------------------------------------------------- */

/* No writer is left, so a pipe holds at most its capacity. */
static void drain_rest(struct run *run) {
    for (int i = 0; i < 2; i++)
        for (int tries = 0; run->streams[i].pipe >= 0 && tries < 4096; tries++) {
            uint64_t before = run->streams[i].length;

            on_output(run, &run->streams[i]);
            if (run->streams[i].length == before)
                break;
        }
}

uint64_t run_host_kills(const struct launcher *launcher) {
    char text[16384];

    return sys_read_file(launcher->host_proc, "vmstat", text, sizeof text) > 0 ? proctext_number(text, "oom_kill") : 0;
}

/* Whether the host has killed a process for lack of memory since the last check. Without a group a program's own
 * SIGKILL looks the same. The count is read only after a SIGKILL, so its growth may be old and another program's; that
 * costs an attempt. */
static uint32_t host_kills_since(struct run *run) {
    struct slot *slot = run->slot;
    uint64_t before = slot->host_kills;

    if (run->grouped || run->result->exit_signal != SIGKILL || run->result->ended_by != DOJ_ENDED_ITSELF)
        return 0;
    slot->host_kills = run_host_kills(slot->launcher);
    return slot->host_kills > before;
}

static void settle_usage(struct run *run, uint32_t *foreign_kill) {
    const struct cell_tally *tally = run->slot->cell.tally;
    struct doj_result *result = run->result;
    uint64_t cpu = sys_to_us(run->usage.ru_utime) + sys_to_us(run->usage.ru_stime) + tally->cpu_us;
    uint64_t peak = (uint64_t)run->usage.ru_maxrss * 1024U;

    *foreign_kill = host_kills_since(run);
    if (run->grouped) {
        int error = cgroup_run_collect(&run->group, &cpu, &result->memory_bytes, &result->oom_kill, foreign_kill);

        if (error != 0)
            fault(run, "cgroup_figures", error);
        peak = 0;
    }
    cpu = less(cpu, run->payload.cpu_us);
    if (!run->grouped && result->wall_us > COUNT_SLACK_US)
        cpu = at_least_counted(run, cpu);
    cpu += heard_too_much_us(run);
    result->cpu_us = cpu > result->cpu_us ? cpu : result->cpu_us;
    peak = tally->maxrss_bytes > peak && !run->grouped ? tally->maxrss_bytes : peak;
    result->memory_bytes = peak > result->memory_bytes ? peak : result->memory_bytes;
}

static void copy_out(struct run *run) {
    const struct doj_request *request = run->request;
    size_t first = doj_request_fds(request) - request->files_out_count;

    for (uint32_t i = 0; i < request->files_out_count; i++) {
        bool copied;
        int error = scratch_copy_out(run->slot->cell.scratch, &request->files_out[i], run->fds[first + i], &copied);

        if (error != 0)
            fault(run, "files_out", error);
        else if (copied)
            run->result->files_out |= 1U << i;
    }
}

static void collect(struct run *run) {
    struct doj_result *result = run->result;
    uint32_t foreign_kill;

    drain_rest(run);
    result->stderr_len = run->streams[1].length;
    result->stdout_len = is_joined(run) ? less(run->written_bytes, result->stderr_len) : run->streams[0].length;
    settle_usage(run, &foreign_kill);
    /* not ENOMEM: a program that needs more than the host has would be retried without end */
    if (foreign_kill > 0 && result->ended_by == DOJ_ENDED_ITSELF &&
        (result->exit_signal != 0 || result->exit_code != 0))
        fault(run, "killed_by_host", -ECHILD);
    if (!is_faulted(run) && result->ended_by == DOJ_ENDED_ITSELF)
        copy_out(run);
}

static void clean(struct run *run) {
    sys_close(&run->streams[0].pipe);
    sys_close(&run->streams[1].pipe);
    sys_close(&run->payload.stdin_fd);
    sys_close(&run->payload.stdout_fd);
    sys_close(&run->payload.stderr_fd);
    sys_close(&run->pidfd);
    sys_close(&run->held);
    if (run->grouped)
        cgroup_run_retire(&run->group);
}

bool run_perform(struct slot *slot, const struct doj_request *request, int *fds, struct doj_result *result) {
    struct run run = {.slot = slot, .request = request, .result = result, .fds = fds, .pidfd = -1, .held = -1};

    run.payload = (struct payload){.launcher = slot->launcher,
                                   .request = request,
                                   .argv = request->argv,
                                   .env = request->env,
                                   .shed = slot->launcher->cgroup >= 0 || slot->launcher->weak,
                                   .group = slot->launcher->weak ? slot->cell.init : 0,
                                   .user_tasks = slot->cell.bare.user_tasks,
                                   .confinement = slot->cell.bare.confinement,
                                   .stdin_fd = -1,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1};
    run.streams[0].pipe = run.streams[1].pipe = -1;
    prepare(&run);
    if (!is_faulted(&run))
        start(&run);
    if (!is_faulted(&run)) {
        watch(&run);
        collect(&run);
    }
    clean(&run);
    note_end(&run);
    return !run.node_gone;
}
