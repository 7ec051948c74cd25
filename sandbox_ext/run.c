/* Theory of operation
 *
 * One run, as its slot sees it. The slot is outside of the run. It holds the clocks, the pipes and the limits, and it
 * alone ends the run.
 *
 *     node ══ socket ══ slot ══ stdout and stderr pipes ══ payload ── all that it forks
 *                        ╚══════ orders ══════ init (process 1 of the cell)
 *
 * One loop waits for: output (drained at once, counted to the byte, kept up to the cap), the payload's end, the init's
 * answer, the node (a cancel, or its end), and the time of the next sample. The first cause that ends a run stands. The
 * node decides the *verdict* from the figures.
 *
 * A run is over when its payload is reaped and its cell is empty. If no process outlives the payload, one look at the
 * cell confirms that. Otherwise the init is asked to kill. If that takes longer than EMPTY_US, the slot kills the init.
 * The kernel then empties the cell, which is spent. Only after that are files copied out and the answer sent.
 *
 *     run_start.c    before: files, input, streams, group, clone
 *     run.c          the loop and the end
 *     run_limits.c   samples against limits, with run_cpu.c (CPU time) and run_cores.c (delay by others, niceness)
 *     run_result.c   after: the rest of the output, the figures, files out
 *
 * Two runs may be joined: the stdout of each is a pipe that is the stdin of the other. No process relays between them,
 * for a slot that passed each line on would make a round trip five times as long. The slot knows two facts
 * nevertheless:
 *
 *     How much was written. Each sample reads the kernel's count of each process's writes, so a flood is seen within
 *     LAZY_SAMPLE_US.
 *     Which run ended first. The slot holds a writing end beside its payload's, and closes it only after it has
 *     recorded the time of the end. So the other run cannot read the end of its input before that time, however late
 *     the slot was woken. If the end of one run caused the end of the other, it has the earlier time. A payload may
 *     close its output and go on. The slot notices that within LAZY_SAMPLE_US, and closes its own end then (hold.c). */
#define _GNU_SOURCE
#include "bare.h"
#include "run_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EMPTY_US UINT64_C(2000000)

static void note_end(struct run *run) {
    if (run->result->ended_us == 0)
        run->result->ended_us = sys_now_us();
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

void run_reap(struct run *run, int options) {
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

/* Ends a cell whose init is gone or does not answer. All processes of the run die with it. If we did not end the run,
 * the kernel or an operator killed the init: the program has no means to. wait_ms: as for cell_end. */
static void on_spent(struct run *run, int wait_ms) {
    run->spent = true;
    cell_kill(&run->slot->cell);
    if (!run->reaped) {
        if (run->result->ended_by == DOJ_ENDED_ITSELF)
            fault(run, "init_died", -ECHILD);
        run_reap(run, 0); /* before the init: its end waits until all processes in the cell are reaped */
    }
    if (!cell_end(&run->slot->cell, wait_ms))
        fault(run, "init_lingers", -ETIMEDOUT);
}

/* The end of an init can take long: the kernel waits until all processes of its namespace were waited for, among them
 * what an operator started there. The answer waits for that no longer than EMPTY_US. */
static void on_dead_init(struct run *run) { on_spent(run, EMPTY_US / 1000); }

/* Orders that all processes of the run be killed. */
static void empty(struct run *run) {
    if (run->asked || run->spent)
        return;
    run->asked = true;
    run->asked_us = sys_now_us();
    if (run->grouped)
        cgroup_run_kill(&run->group);
    if (cell_ask_empty(&run->slot->cell) != 0)
        on_dead_init(run);
}

/* /proc/PID/io is unreadable after the process has exited. So the figure lacks writes between the last sample and the
 * end. It also lacks those of processes that had exited by then and had not been waited for. */
void run_sample_written(struct run *run) {
    uint64_t written;

    if (!is_joined(run))
        return;
    bare_become_payload(run->slot->launcher);
    written = sampler_written(run->sampler);
    bare_become_root(run->slot->launcher);
    if (written > run->written_bytes)
        run->written_bytes = written;
}

void run_end(struct run *run, enum doj_ended cause) {
    if (run->result->ended_by == DOJ_ENDED_ITSELF && !run->reaped) {
        run->result->ended_by = cause;
        note_end(run);
        run_sample_written(run);
    }
    empty(run);
}

/* Ends a run for a failure of ours, which is not the program's fault. */
static void fail(struct run *run, const char *step, int error) {
    fault(run, step, error);
    run_end(run, DOJ_ENDED_CANCELLED);
}

static bool is_over(const struct run *run) {
    return run->reaped && (run->spent || (run->asked && run->slot->cell.owed == 0));
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* Past the limit, output is still read, but only counted. */
void run_drain(struct run *run, struct stream *stream) {
    int error = stream_drain(stream, run->slot->drain);

    if (error != 0)
        fail(run, "keep_output", error);
    if (run->streams[0].length + run->streams[1].length > run->request->limits.output_bytes)
        run_end(run, DOJ_ENDED_OUTPUT);
}

static void on_payload_end(struct run *run) {
    run_reap(run, WNOHANG);
    if (!run->reaped || run->asked || run->spent)
        return;
    if (cell_is_empty(&run->slot->cell))
        run->asked = true; /* as if asked and answered: no answer is owed */
    else
        empty(run);
}

static void on_init(struct run *run) {
    if (cell_hear(&run->slot->cell) == 0)
        on_dead_init(run);
}

/* During a run the node may only cancel it, or close the socket. */
static void on_node(struct run *run) {
    unsigned char message[64];
    size_t count;
    uint64_t serial;
    ssize_t size = sys_receive(run->slot->sock, message, sizeof message, NULL, 0, &count);

    if (size <= 0 || doj_peek(message, (size_t)size, &serial) != DOJ_CANCEL) {
        run->node_gone = true;
        run_end(run, DOJ_ENDED_CANCELLED);
    } else if (serial == run->request->serial) {
        run_end(run, DOJ_ENDED_CANCELLED);
    }
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void on_time(struct run *run) {
    uint64_t now = sys_now_us();

    if (run->asked) {
        if (now >= run->asked_us + EMPTY_US)
            on_spent(run, -1); /* a program that dies slowly must not make a fault of ours of that */
    } else if (!run->reaped && (now >= run->next_sample_us || now >= run->wall_end_us)) {
        run_check_limits(run, now);
    }
}

/* Time until the next sample or deadline. */
static struct timespec next_moment(const struct run *run) {
    uint64_t at = run->asked ? run->asked_us + EMPTY_US : least(run->wall_end_us, run->next_sample_us);
    uint64_t wait = saturating_sub(at, sys_now_us());

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
            {.fd = cell->watched, .events = POLLIN},
        };

        if (ppoll(watched, sizeof watched / sizeof *watched, &timeout, NULL) < 0 && errno != EINTR)
            fail(run, "poll", -errno);
        for (int i = 0; i < 2; i++)
            if (watched[3 + i].revents != 0)
                run_drain(run, &run->streams[i]);
        if (watched[5].revents != 0)
            run_hear(run);
        if (watched[2].revents != 0)
            on_node(run);
        /* A dying init closes its channel before its payload dies. So the channel is looked at before the payload: then
         * we know which of them ended first. */
        if (watched[1].revents != 0)
            on_init(run);
        if (watched[0].revents != 0 && !run->reaped)
            on_payload_end(run);
        if (!is_over(run))
            on_time(run);
    }
}

/* ---- the whole run ----------------------------------------------------------------------------------------------- */

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
    struct run run = {.slot = slot,
                      .request = request,
                      .result = result,
                      .fds = fds,
                      .pidfd = -1,
                      .held = -1,
                      .sampler = &slot->sampler};

    run.payload = (struct payload){.launcher = slot->launcher,
                                   .request = request,
                                   .argv = request->argv,
                                   .env = request->env,
                                   .shed = slot->launcher->cgroup >= 0 || slot->launcher->weak,
                                   .group = slot->launcher->weak ? slot->cell.init : 0,
                                   .slot = getpid(),
                                   .user_tasks = slot->cell.bare.user_tasks,
                                   .confinement = slot->cell.bare.confinement,
                                   .stdin_fd = -1,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1};
    run.streams[0].pipe = run.streams[1].pipe = -1;
    run_prepare(&run);
    if (!is_faulted(&run))
        run_start(&run);
    if (!is_faulted(&run)) {
        watch(&run);
        run_collect(&run);
    }
    clean(&run);
    note_end(&run);
    return !run.node_gone;
}
