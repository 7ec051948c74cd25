/* Theory of operation
 *
 * A slot is a process of the launcher that serves one socket, one run at a time. It stands outside the run: it holds
 * the clocks, the pipes, the limits and the only decision to end a run. Its children are the inits of its runs.
 *
 *     node ══ socket ══ slot ── status channel ── init (pid 1 of the run) ── payload ── …
 *                        ╚═════════ stdout and stderr pipes ═════════════════════╝
 *
 * One loop waits for: output (drained at once, counted to the byte, kept up to the cap), init's messages, the node
 * (cancel, or its end), and the next moment at which figures are to be looked at. The first cause that ends a run
 * stands; what the run *came to* is decided by the node from the figures, not here.
 *
 * Ending a run: the cgroup's kill where there is one, then init is asked to empty its namespace; if that takes longer
 * than EMPTY_US, init is killed, and with it, by the kernel, its namespace. Only then are files copied out and the
 * answer sent. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "run.h"
#include "sampler.h"
#include "scratch.h"
#include "sys.h"

#define PIPE_BYTES (1 << 20)
#define DRAIN_BYTES (256U * 1024U)
#define SETUP_US UINT64_C(20000000) /* from clone to exec; a loaded host is slow, a hung one must end */
#define EMPTY_US UINT64_C(2000000)
#define SAMPLE_US UINT64_C(1000)
#define LAZY_SAMPLE_US UINT64_C(20000) /* where the kernel itself holds the memory limit */

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct stream {
    int pipe;
    int keep;
    int whole; /* or -1 */
    uint64_t keep_bytes;
    uint64_t length;
};

struct slot {
    const struct launcher *launcher;
    unsigned number;
    int sock;
    uint64_t host_kills; /* by the host's out-of-memory killer, when we last looked */
    unsigned char message[DOJ_MAX_MESSAGE];
    char drain[DRAIN_BYTES];
};

struct run {
    struct slot *slot;
    const struct doj_request *request;
    struct doj_result *result;
    int fds[DOJ_MAX_FDS];
    size_t fd_count;
    int scratch;
    int stdin_fd;
    int status; /* our end */
    int init_fd;
    pid_t init;
    struct stream streams[2];
    struct cgroup_run group;
    bool grouped;
    struct sampler sampler;
    bool started;
    bool ended;
    bool told; /* init said how the payload ended */
    bool asked; /* init was asked to empty */
    bool node_gone;
    uint64_t cloned_us;
    uint64_t started_us;
    uint64_t setup_cpu_us;
    uint64_t asked_us;
    uint64_t next_sample_us;
};

static void fault(struct run *run, const char *step, int error) {
    if (run->result->fault.step[0] == 0)
        sys_set_fault(&run->result->fault, step, error);
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

static void kill_init(const struct run *run) {
    if (run->init_fd >= 0)
        syscall(SYS_pidfd_send_signal, run->init_fd, SIGKILL, NULL, 0);
}

static void end(struct run *run, enum doj_ended cause) {
    if (run->result->ended_by == DOJ_ENDED_ITSELF)
        run->result->ended_by = cause;
    if (run->asked)
        return;
    run->asked = true;
    run->asked_us = sys_now_us();
    if (run->grouped)
        cgroup_run_kill(&run->group);
    shutdown(run->status, SHUT_WR);
}

/* A failure of ours while the program runs: it must be ended, and it is not to blame. */
static void fail(struct run *run, const char *step, int error) {
    fault(run, step, error);
    end(run, DOJ_ENDED_CANCELLED);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static int pass_on(struct stream *stream, const char *bytes, size_t size, uint64_t whole_limit) {
    uint64_t before = stream->length;
    int error = 0;

    stream->length += size;
    if (before < stream->keep_bytes) {
        uint64_t room = stream->keep_bytes - before;

        error = sys_write_all(stream->keep, bytes, size < room ? size : (size_t)room);
    }
    if (error == 0 && stream->whole >= 0 && before < whole_limit) {
        uint64_t room = whole_limit - before;

        error = sys_write_all(stream->whole, bytes, size < room ? size : (size_t)room);
    }
    return error;
}

/* Reads what is there. Past the limit the run is ended, and what the pipe still holds is read on (and only counted). */
static void drain(struct run *run, struct stream *stream) {
    const struct doj_limits *limits = &run->request->limits;
    ssize_t count = read(stream->pipe, run->slot->drain, DRAIN_BYTES);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        sys_close(&stream->pipe);
        return;
    }
    int error = pass_on(stream, run->slot->drain, (size_t)count, limits->output_bytes);
    if (error != 0)
        fail(run, "keep_output", error);
    if (run->streams[0].length + run->streams[1].length > limits->output_bytes)
        end(run, DOJ_ENDED_OUTPUT);
}

/* After the run nobody writes any more: what is left is at most a pipe full. */
static void drain_rest(struct run *run) {
    for (int i = 0; i < 2; i++)
        for (int tries = 0; run->streams[i].pipe >= 0 && tries < 4096; tries++) {
            uint64_t before = run->streams[i].length;

            drain(run, &run->streams[i]);
            if (run->streams[i].length == before)
                break;
        }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void on_ended(struct run *run, const struct init_message *message) {
    struct doj_result *result = run->result;

    run->told = true;
    if (WIFSIGNALED(message->wait_status))
        result->exit_signal = (uint32_t)WTERMSIG(message->wait_status);
    else
        result->exit_code = (uint32_t)WEXITSTATUS(message->wait_status);
    if (message->monotonic_us > run->started_us)
        result->wall_us = message->monotonic_us - run->started_us;
    if (!run->grouped) {
        uint64_t cpu = message->cpu_us > run->setup_cpu_us ? message->cpu_us - run->setup_cpu_us : 0;

        result->cpu_us = cpu > result->cpu_us ? cpu : result->cpu_us;
        if (message->maxrss_bytes > result->memory_bytes)
            result->memory_bytes = message->maxrss_bytes;
    }
}

static void on_status(struct run *run) {
    struct init_message message;
    int fds[1] = {-1};
    size_t count;
    ssize_t size = sys_receive(run->status, &message, sizeof message, fds, 1, &count);

    if (size == 0 || size == -ECONNRESET) { /* init is gone, and its namespace with it */
        if (run->result->wall_us == 0 && run->started)
            run->result->wall_us = sys_now_us() - run->started_us;
        run->ended = true;
        return;
    }
    if (size != (ssize_t)sizeof message) {
        fail(run, "init_message", size < 0 ? (int)size : -EIO);
        return;
    }
    switch ((enum init_kind)message.kind) {
    case INIT_PROC:
        if (count == 1 && !run->grouped) {
            sampler_open(&run->sampler, fds[0]);
            fds[0] = -1;
        }
        break;
    case INIT_STARTED:
        run->started = true;
        run->started_us = message.monotonic_us;
        run->setup_cpu_us = message.cpu_us;
        run->next_sample_us = 0;
        break;
    case INIT_FAULT:
        if (run->result->ended_by == DOJ_ENDED_ITSELF)
            fault(run, message.fault.step, -message.fault.error);
        break;
    case INIT_ENDED:
        on_ended(run, &message);
        break;
    }
    sys_close(&fds[0]);
}

/* While a run is under way the node may only cancel it, or go. */
static void on_node(struct run *run) {
    unsigned char message[64];
    size_t count;
    int fds[1];
    uint64_t serial;
    ssize_t size = sys_receive(run->slot->sock, message, sizeof message, fds, 1, &count);

    if (count == 1)
        close(fds[0]);
    if (size <= 0 || doj_peek(message, (size_t)size, &serial) != DOJ_CANCEL) {
        run->node_gone = true;
        end(run, DOJ_ENDED_CANCELLED);
    } else if (serial == run->request->serial) {
        end(run, DOJ_ENDED_CANCELLED);
    }
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

static void look(struct run *run, uint64_t now) {
    const struct doj_limits *limits = &run->request->limits;
    struct doj_result *result = run->result;
    uint64_t cpu;

    if (run->grouped) {
        cpu = cgroup_run_sample(&run->group);
        cpu = cpu > run->setup_cpu_us ? cpu - run->setup_cpu_us : 0;
        run->next_sample_us = now + LAZY_SAMPLE_US;
        /* the limit cannot be passed sooner than by all tasks running at once; four cores' worth is a fair guess */
        if (cpu <= limits->cpu_us && (limits->cpu_us - cpu) / 4 < LAZY_SAMPLE_US)
            run->next_sample_us = now + SAMPLE_US + (limits->cpu_us - cpu) / 4;
    } else {
        struct sample sample;

        sampler_take(&run->sampler, limits->memory_bytes, &sample);
        cpu = sample.cpu_us;
        if (sample.memory_bytes > result->memory_bytes)
            result->memory_bytes = sample.memory_bytes;
        if (sample.memory_bytes > limits->memory_bytes)
            end(run, DOJ_ENDED_MEMORY);
        /* where the kernel counts, ours would only be wrong: a pass may see one go and its successor come */
        if (!run->slot->launcher->process_quota && sample.tasks > limits->processes)
            end(run, DOJ_ENDED_PROCESSES);
        run->next_sample_us = sys_now_us() + SAMPLE_US;
    }
    /* the sampled figure includes the setup, in ticks; by it alone a run ends a little late, never early */
    if (!run->grouped && cpu > 0)
        cpu = cpu > run->setup_cpu_us ? cpu - run->setup_cpu_us : 0;
    if (cpu > result->cpu_us)
        result->cpu_us = cpu;
    if (cpu > limits->cpu_us)
        end(run, DOJ_ENDED_CPU);
    if (now > run->started_us && now - run->started_us > limits->wall_us)
        end(run, DOJ_ENDED_WALL);
}

/* Microseconds until something must be looked at. */
static uint64_t next_moment(const struct run *run, uint64_t now) {
    uint64_t at;

    if (run->asked)
        at = run->asked_us + EMPTY_US;
    else if (!run->started)
        at = run->cloned_us + SETUP_US;
    else {
        at = run->started_us + run->request->limits.wall_us + 1;
        if (run->next_sample_us < at)
            at = run->next_sample_us;
    }
    return at > now ? at - now : 0;
}

static void on_time(struct run *run) {
    uint64_t now = sys_now_us();

    if (run->asked) {
        if (now >= run->asked_us + EMPTY_US) {
            kill_init(run);
            run->asked_us = now; /* what the kernel does not let die is asked for again, not in a busy loop */
        }
    } else if (!run->started) {
        if (now >= run->cloned_us + SETUP_US)
            fail(run, "setup_timeout", -ETIMEDOUT);
    } else if (now >= run->next_sample_us || now - run->started_us > run->request->limits.wall_us) {
        look(run, now);
    }
}

static void watch(struct run *run) {
    while (!run->ended) {
        uint64_t wait = next_moment(run, sys_now_us());
        struct timespec timeout = {(time_t)(wait / 1000000U), (long)(wait % 1000000U) * 1000};
        struct pollfd watched[] = {
            {.fd = run->status, .events = POLLIN},
            {.fd = run->node_gone ? -1 : run->slot->sock, .events = POLLIN},
            {.fd = run->streams[0].pipe, .events = POLLIN},
            {.fd = run->streams[1].pipe, .events = POLLIN},
        };

        if (ppoll(watched, 4, &timeout, NULL) < 0 && errno != EINTR)
            fail(run, "poll", -errno);
        if (watched[0].revents != 0)
            on_status(run);
        if (watched[1].revents != 0)
            on_node(run);
        for (int i = 0; i < 2; i++)
            if (watched[2 + i].revents != 0)
                drain(run, &run->streams[i]);
        if (!run->ended)
            on_time(run);
    }
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static int make_stream(struct run *run, struct stream *stream, int *write_end) {
    int ends[2];
    int flags;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    stream->pipe = ends[0];
    *write_end = ends[1];
    /* less than asked (an ordinary user has a quota of pipe pages) is slower, not wrong */
    fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
    flags = fcntl(ends[0], F_GETFL);
    if (flags < 0 || fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    /* so that a program may open /dev/stdout */
    if (fchown(ends[1], run->slot->launcher->uid, run->slot->launcher->gid) != 0)
        return -errno;
    return 0;
}

static void start(struct run *run) {
    const struct launcher *launcher = run->slot->launcher;
    struct run_plan plan = {.launcher = launcher,
                            .request = run->request,
                            .stdin_fd = run->stdin_fd,
                            .stdout_fd = -1,
                            .stderr_fd = -1,
                            .scratch = run->scratch,
                            .status = -1,
                            .cgroup = -1};
    struct sys_clone how = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
                                     CLONE_PIDFD,
                            .pidfd = &run->init_fd};
    int ends[2];
    int error = make_stream(run, &run->streams[0], &plan.stdout_fd);

    if (error == 0)
        error = make_stream(run, &run->streams[1], &plan.stderr_fd);
    if (error != 0) {
        fault(run, "pipes", error);
    } else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        fault(run, "status_channel", -errno);
    } else {
        run->status = ends[0];
        plan.status = ends[1];
        plan.cgroup = run->grouped ? run->group.dir : -1;
        run->cloned_us = sys_now_us();
        run->init = sys_clone(&how);
        if (run->init == 0)
            init_main(&plan);
        if (run->init < 0)
            fault(run, "namespaces", run->init);
    }
    sys_close(&plan.stdout_fd);
    sys_close(&plan.stderr_fd);
    sys_close(&plan.status);
}

static void prepare(struct run *run) {
    const struct doj_request *request = run->request;
    const struct launcher *launcher = run->slot->launcher;
    size_t files = 3U + ((request->flags & DOJ_FLAG_STDOUT_TO) ? 1U : 0U);
    int error;

    run->streams[0] = (struct stream){.pipe = -1,
                                      .keep = run->fds[1],
                                      .whole = files == 4 ? run->fds[3] : -1,
                                      .keep_bytes = request->limits.keep_stdout_bytes};
    run->streams[1] = (struct stream){
        .pipe = -1, .keep = run->fds[2], .whole = -1, .keep_bytes = request->limits.keep_stderr_bytes};
    run->scratch = scratch_create(launcher, request, run->fds + files);
    if (run->scratch < 0) {
        fault(run, "files_in", run->scratch);
        return;
    }
    if (launcher->privileged) {
        run->stdin_fd = fcntl(run->fds[0], F_DUPFD_CLOEXEC, 3);
        error = run->stdin_fd < 0 ? -errno : 0;
    } else {
        /* the payload has the node's own uid and could open /proc/self/fd/0 for writing: give it a copy */
        run->stdin_fd = scratch_sealed_copy(run->fds[0]);
        error = run->stdin_fd < 0 ? run->stdin_fd : 0;
    }
    if (error != 0)
        fault(run, "stdin", error);
    if (launcher->cgroup >= 0) {
        error = cgroup_run_create(launcher->cgroup, run->slot->number, &request->limits, &run->group);
        run->grouped = true;
        if (error != 0)
            fault(run, "cgroup", error);
    }
}

static uint64_t to_us(struct timeval time) { return (uint64_t)time.tv_sec * 1000000U + (uint64_t)time.tv_usec; }

/* An init that was killed took its namespace along and told nothing: what it used, with its children, tells the
 * kernel. */
static void on_untold(struct run *run, const struct rusage *usage) {
    struct doj_result *result = run->result;
    uint64_t cpu = to_us(usage->ru_utime) + to_us(usage->ru_stime);

    cpu = cpu > run->setup_cpu_us ? cpu - run->setup_cpu_us : 0;
    if (!run->grouped && cpu > result->cpu_us)
        result->cpu_us = cpu;
    if (!run->grouped && (uint64_t)usage->ru_maxrss * 1024U > result->memory_bytes)
        result->memory_bytes = (uint64_t)usage->ru_maxrss * 1024U;
    result->exit_signal = SIGKILL;
    /* if it was not us, it was the kernel or an operator; the program has no means to */
    if (result->ended_by == DOJ_ENDED_ITSELF)
        fault(run, "init_died", -ECHILD);
}

static void reap_init(struct run *run) {
    struct rusage usage = {.ru_maxrss = 0};

    if (run->init <= 0)
        return;
    /* its channel is closed: it has left, or is at its last system call; it must not outlive this line */
    kill_init(run);
    while (wait4(run->init, NULL, 0, &usage) < 0 && errno == EINTR)
        ;
    sys_close(&run->init_fd);
    if (!run->told && run->result->fault.step[0] == 0)
        on_untold(run, &usage);
}

static uint64_t host_kills(const struct launcher *launcher) {
    char text[16384];
    const char *at;

    if (sys_read_file(launcher->host_proc, "vmstat", text, sizeof text) <= 0 ||
        (at = strstr(text, "\noom_kill ")) == NULL)
        return 0;
    return strtoull(at + strlen("\noom_kill "), NULL, 10);
}

/* Without a group nothing tells a program's own SIGKILL from that of a host which ran out of memory. So the host's
 * count is looked at, but only then: what it has grown by may have been long ago, and another's, which costs an
 * attempt. */
static uint32_t host_kills_since(struct run *run) {
    struct slot *slot = run->slot;
    uint64_t before = slot->host_kills;

    if (run->grouped || run->result->exit_signal != SIGKILL || run->result->ended_by != DOJ_ENDED_ITSELF)
        return 0;
    slot->host_kills = host_kills(slot->launcher);
    return slot->host_kills > before;
}

static void collect(struct run *run) {
    const struct doj_request *request = run->request;
    struct doj_result *result = run->result;
    size_t first = doj_request_fds(request) - request->files_out_count;
    uint32_t foreign_kill;

    drain_rest(run);
    result->stdout_len = run->streams[0].length;
    result->stderr_len = run->streams[1].length;
    foreign_kill = host_kills_since(run);
    if (run->grouped) {
        uint64_t cpu;

        cgroup_run_collect(&run->group, &cpu, &result->memory_bytes, &result->oom_kill, &foreign_kill);
        cpu = cpu > run->setup_cpu_us ? cpu - run->setup_cpu_us : 0;
        result->cpu_us = cpu > result->cpu_us ? cpu : result->cpu_us;
    }
    /* no ENOMEM: whoever needs more than the host has would be tried for ever */
    if (foreign_kill > 0 && result->ended_by == DOJ_ENDED_ITSELF &&
        (result->exit_signal != 0 || result->exit_code != 0))
        fault(run, "killed_by_host", -ECHILD);
    if (run->started && result->fault.step[0] == 0 && result->ended_by == DOJ_ENDED_ITSELF)
        for (uint32_t i = 0; i < request->files_out_count; i++) {
            bool copied;
            int error = scratch_copy_out(run->scratch, &request->files_out[i], run->fds[first + i], &copied);

            if (error != 0)
                fault(run, "files_out", error);
            else if (copied)
                result->files_out |= 1U << i;
        }
}

static void clean(struct run *run) {
    sys_close(&run->streams[0].pipe);
    sys_close(&run->streams[1].pipe);
    sys_close(&run->status);
    sys_close(&run->stdin_fd);
    sys_close(&run->sampler.proc);
    sys_close(&run->scratch);
    if (run->grouped)
        cgroup_run_destroy(run->slot->launcher->cgroup, &run->group);
    for (size_t i = 0; i < run->fd_count; i++)
        close(run->fds[i]);
}

static bool perform(struct slot *slot, const struct doj_request *request, const int *fds, size_t fd_count,
                    struct doj_result *result) {
    struct run run = {.slot = slot,
                      .request = request,
                      .result = result,
                      .fd_count = fd_count,
                      .scratch = -1,
                      .stdin_fd = -1,
                      .status = -1,
                      .init_fd = -1,
                      .sampler.proc = -1};

    memcpy(run.fds, fds, fd_count * sizeof *fds);
    run.streams[0].pipe = run.streams[1].pipe = -1;
    prepare(&run);
    if (result->fault.step[0] == 0)
        start(&run);
    if (result->fault.step[0] == 0) {
        watch(&run);
        reap_init(&run);
        collect(&run);
    } else {
        reap_init(&run);
    }
    clean(&run);
    return !run.node_gone;
}

/* ---- the socket -------------------------------------------------------------------------------------------------- */

static bool answer(const struct slot *slot, const struct doj_result *result) {
    unsigned char message[DOJ_RESULT_SIZE];
    long size = doj_encode_result(result, message, sizeof message);

    return size > 0 && sys_send(slot->sock, message, (size_t)size, -1) == 0;
}

/* One request. False when the node is gone or out of step: the slot ends, and the node sees its socket close. */
static bool serve(struct slot *slot) {
    static struct doj_request request;
    struct doj_result result = {.serial = 0};
    int fds[DOJ_MAX_FDS];
    size_t count;
    uint64_t serial;
    ssize_t size = sys_receive(slot->sock, slot->message, sizeof slot->message, fds, DOJ_MAX_FDS, &count);
    bool good;

    if (size <= 0)
        return false;
    /* a cancel that crossed the answer on its way */
    if (count == 0 && doj_peek(slot->message, (size_t)size, &serial) == DOJ_CANCEL)
        return true;
    good = doj_decode_request(slot->message, (size_t)size, &request) == 0 && count == doj_request_fds(&request);
    if (!good) {
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        return false;
    }
    result.serial = request.serial;
    return perform(slot, &request, fds, count, &result) && answer(slot, &result);
}

_Noreturn void slot_main(const struct launcher *launcher, unsigned number, int sock) {
    static struct slot slot;

    slot.launcher = launcher;
    slot.number = number;
    slot.sock = sock;
    slot.host_kills = host_kills(launcher);
    while (serve(&slot))
        ;
    _exit(0);
}
