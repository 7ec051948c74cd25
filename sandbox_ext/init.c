/* Theory of operation
 *
 * Process 1 of a run's pid namespace. It mounts what only this run sees, forks the payload (which is never pid 1:
 * signals would lose their meaning for it), waits, and empties the namespace. It ends the run when the payload ends,
 * when the slot shuts its end of the channel down, or when the slot is gone.
 *
 * Emptying is kill(-1, SIGKILL) until it finds nobody. Waiting for children alone would not do: a grandchild becomes
 * our child only when its parent dies, and a fork bomb forks between any two looks. If we are killed instead, the
 * kernel does the same for us: a pid namespace dies with its process 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rootfs.h"
#include "run.h"
#include "sys.h"

struct state {
    const struct run_plan *plan;
    pid_t payload;
    bool reaped; /* the payload */
    int wait_status;
    uint64_t reaped_us;
};

static void tell(const struct state *state, const struct init_message *message, int fd) {
    (void)sys_send(state->plan->status, message, sizeof *message, fd); /* a slot that is gone needs no answer */
}

static _Noreturn void fault(const struct state *state, const char *step, int error) {
    struct init_message message = {.kind = INIT_FAULT};

    sys_set_fault(&message.fault, step, error);
    tell(state, &message, -1);
    _exit(1);
}

static void set_up(const struct state *state) {
    static const char name[] = "box";
    struct init_message message = {.kind = INIT_PROC};
    int keep[] = {state->plan->status,    state->plan->scratch,   state->plan->cgroup, state->plan->launcher->host_proc,
                  state->plan->stdin_fd, state->plan->stdout_fd, state->plan->stderr_fd};
    int proc;

    /* before the first wait: if the slot died already, its end of the channel is shut and the main loop sees that */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        fault(state, "death_signal", -errno);
    sys_keep_only(keep, sizeof keep / sizeof *keep);
    if (sethostname(name, sizeof name - 1) != 0)
        fault(state, "hostname", -errno);
    if (move_mount(state->plan->scratch, "", AT_FDCWD, SCRATCH_PATH, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        fault(state, "scratch", -errno);
    proc = rootfs_proc(getegid());
    if (proc < 0)
        fault(state, "proc", proc);
    tell(state, &message, proc);
    close(proc);
}

/* From here on only CAP_KILL is needed. It is also what keeps a payload of the same uid (in an ordinary user's
 * namespace) from tracing us: tracing takes every right of the traced. */
static void shed(const struct state *state) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    memset(data, 0, sizeof data);
    data[0].effective = data[0].permitted = 1U << CAP_KILL;
    if (syscall(SYS_capset, &head, data) != 0)
        fault(state, "init_capabilities", -errno);
    /* and /proc/1 becomes root's, also where the payload has our uid */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        fault(state, "init_dumpable", -errno);
}

static void reap(struct state *state, int options) {
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, options)) > 0) {
        if (pid == state->payload) {
            state->reaped = true;
            state->wait_status = status;
            state->reaped_us = sys_now_us();
        }
        if (options == 0)
            return; /* one blocking wait at a time: there may be new ones to kill */
    }
}

static void empty(struct state *state) {
    while (kill(-1, SIGKILL) == 0 || errno != ESRCH) {
        reap(state, WNOHANG);
        if (waitid(P_ALL, 0, &(siginfo_t){.si_signo = 0}, WEXITED | WNOHANG | WNOWAIT) != 0)
            sched_yield(); /* no child of ours yet: somebody is between dying and being handed to us */
        else
            reap(state, 0);
    }
    reap(state, WNOHANG);
}

/* Reads what the payload reports until EOF, which is its exec (or its death before). True when the program runs. */
static bool await_exec(struct state *state, int report) {
    struct child_report last = {.cpu_us = 0};
    struct init_message message = {.kind = INIT_STARTED};
    struct child_report next;
    bool ready = false;
    ssize_t count;

    while ((count = read(report, &next, sizeof next)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count != (ssize_t)sizeof next)
            fault(state, "report", count < 0 ? -errno : -EIO);
        last = next;
        ready = ready || next.fault.step[0] == 0;
        if (next.fault.step[0] != 0) {
            message.kind = INIT_FAULT;
            message.fault = next.fault;
            tell(state, &message, -1);
            return false;
        }
    }
    if (!ready) { /* killed from outside before exec: a memory controller with too little to give, or the slot */
        message.kind = INIT_FAULT;
        sys_set_fault(&message.fault, "payload_died", -ECHILD);
        tell(state, &message, -1);
        return false;
    }
    message.monotonic_us = last.monotonic_us;
    message.cpu_us = last.cpu_us;
    tell(state, &message, -1);
    return true;
}

static void start_payload(struct state *state, int *report) {
    const struct run_plan *plan = state->plan;
    struct sys_clone how = {.flags = plan->cgroup >= 0 ? CLONE_INTO_CGROUP : 0, .cgroup_fd = plan->cgroup};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        fault(state, "report_pipe", -errno);
    state->payload = sys_clone(&how);
    if (state->payload == 0)
        child_main(plan, ends[1]);
    if (state->payload < 0)
        fault(state, "fork", state->payload);
    close(ends[1]);
    *report = ends[0];
}

static int child_signals(const struct state *state) {
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        fault(state, "signals", -errno);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        fault(state, "signals", -errno);
    return fd;
}

/* Until the payload is reaped, or the slot says (or is silent for ever) that it is enough. */
static void await_end(struct state *state, int signals) {
    struct pollfd watched[] = {{.fd = state->plan->status, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

    while (!state->reaped) {
        struct signalfd_siginfo info;

        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[0].revents != 0)
            return;
        while (read(signals, &info, sizeof info) > 0)
            ;
        reap(state, WNOHANG);
    }
}

_Noreturn void init_main(const struct run_plan *plan) {
    struct state state = {.plan = plan};
    struct init_message message = {.kind = INIT_ENDED};
    struct rusage usage;
    int signals;
    int report;
    bool running;

    set_up(&state);
    signals = child_signals(&state);
    start_payload(&state, &report);
    shed(&state);
    sys_keep_only((int[]){plan->status, signals, report}, 3);
    running = await_exec(&state, report);
    close(report);
    if (running)
        await_end(&state, signals);
    empty(&state);
    if (running) {
        getrusage(RUSAGE_CHILDREN, &usage);
        message.wait_status = state.wait_status;
        message.monotonic_us = state.reaped_us;
        message.cpu_us = (uint64_t)usage.ru_utime.tv_sec * 1000000U + (uint64_t)usage.ru_utime.tv_usec +
                         (uint64_t)usage.ru_stime.tv_sec * 1000000U + (uint64_t)usage.ru_stime.tv_usec;
        message.maxrss_bytes = (uint64_t)usage.ru_maxrss * 1024U;
        tell(&state, &message, -1);
    }
    _exit(0);
}
