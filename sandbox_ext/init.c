/* Theory of operation
 *
 * The init is process 1 of a cell's pid namespace. The payload is never pid 1 (signals would lose their meaning for
 * it). It is not the init's child either: it is the slot's. The init's children are orphans. It reaps them as they end,
 * counts their usage, and empties the namespace on the slot's order. When the slot is gone, the init ends, and the
 * kernel kills what is left.
 *
 * Emptying is kill(-1, SIGKILL) until no process is found. Waiting for children alone would not suffice: a grandchild
 * becomes our child only when its parent dies, and a fork bomb forks between any two looks. The payload itself is found
 * until the slot has reaped it. If the init is killed instead, the kernel does the same: a pid namespace dies with its
 * process 1.
 *
 * The init keeps its rights over the cell's namespaces, for the mounts. A program cannot use that: it may not trace, it
 * has fewer rights than the init, and signals from within do not reach a process 1 that has no handlers. */
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#include "rootfs.h"
#include "sampler.h"
#include "scratch.h"
#include "stream.h"
#include "sys.h"

#define SPINS 64U
#define SETTLED_RUNS 8U

struct state {
    const struct launcher *launcher;
    struct cell_tally *tally;
    int channel;
    int signals;
    cpu_set_t cores;   /* that we may run on; empty if the set is too small for the host */
    bool bound;        /* to one of them */
    int cpu;           /* the slot's core in recent runs, */
    unsigned cpu_runs; /* and for how many of them, at most SETTLED_RUNS */
    int proc;     /* ours, or -1 */
    int last_pid; /* /proc/sys/kernel/ns_last_pid, or -1 */
};

static void answer(const struct state *state, enum cell_order kind, const char *step, int error, const int *fds,
                   size_t count) {
    struct cell_message message = {.kind = (uint32_t)kind};

    if (error != 0)
        sys_set_fault(&message.fault, step, error);
    (void)sys_send(state->channel, &message, sizeof message, fds, count); /* a slot that is gone needs no answer */
}

static int child_signals(void) {
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static int set_up(struct state *state, const char **step) {
    static const char name[] = "box";
    int proc;

    *step = "init_death_signal";
    /* A death signal is sent with the rights of the dead process, and the slot will have become the payload's user. */
    if (state->launcher->privileged && setresuid((uid_t)-1, (uid_t)-1, state->launcher->uid) != 0)
        return -errno;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return -errno;
    *step = "init_dumpable"; /* so that /proc/1 is root's, even where the payload has our uid */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return -errno;
    *step = "hostname";
    if (!state->launcher->no_hostname && sethostname(name, sizeof name - 1) != 0)
        return -errno;
    *step = "init_signals";
    state->signals = child_signals();
    if (state->signals < 0)
        return state->signals;
    *step = "proc";
    proc = state->launcher->no_proc ? rootfs_no_proc() : rootfs_proc(getegid(), &state->last_pid);
    if (proc < 0)
        return proc;
    sys_hurry();
    if (sched_getaffinity(0, sizeof state->cores, &state->cores) != 0)
        CPU_ZERO(&state->cores);
    answer(state, CELL_UP, NULL, 0, &proc, state->launcher->no_proc ? 0 : 1);
    state->proc = state->launcher->no_proc ? -1 : proc;
    return 0;
}

/* Reaps ended children. `busy` is set before a process leaves the process list, until its figures are added. So a
 * reader that sees an empty list and then no `busy` has all figures. */
static bool reap(const struct state *state) {
    struct cell_tally *tally = state->tally;
    struct rusage usage;
    bool any = false;

    __atomic_store_n(&tally->busy, 1U, __ATOMIC_SEQ_CST);
    while (wait4(-1, NULL, WNOHANG, &usage) > 0) {
        uint64_t rss = (uint64_t)usage.ru_maxrss * 1024U;

        any = true;
        tally->cpu_us += sys_to_us(usage.ru_utime) + sys_to_us(usage.ru_stime);
        if (rss > tally->maxrss_bytes)
            tally->maxrss_bytes = rss;
    }
    __atomic_store_n(&tally->busy, 0U, __ATOMIC_SEQ_CST);
    return any;
}

static void empty(const struct state *state) {
    static const struct timespec pause = {0, 50000};
    unsigned rounds = 0;

    while (kill(-1, SIGKILL) == 0 || errno != ESRCH) {
        if (reap(state))
            continue;
        if (rounds++ < SPINS) /* a process is between its death and its reparenting to us or to the slot */
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
    reap(state);
}

/* Returns whether only the payload was born since `renumber`. The last pid shows it, for pids are consecutive and
 * threads have them, too. They do not return to the first ones after a wrap. */
static bool was_payload_alone(const struct state *state) {
    char text[16];
    ssize_t size = state->last_pid < 0 ? -1 : pread(state->last_pid, text, sizeof text - 1, 0);

    return size == 2 && text[1] == '\n' && (text[0] == '1' || text[0] == '2');
}

static void renumber(const struct state *state) {
    if (state->last_pid >= 0 && pwrite(state->last_pid, "1", 1, 0) < 0)
        return; /* harmless: pids then tell how many were used before */
}

/* Restores the cell and makes the pipes of the next run. Each run gets new ones: a program may set flags on its end,
 * which the next run would find. The init makes them because pipe pages are counted by user, and a slot has the user of
 * programs that hold as many as they can. */
static int restore(const struct state *state, int pipes[4]) {
    const struct launcher *launcher = state->launcher;
    int error;

    /* The slot has already read the process list, and no process can fork past that. Killing all visits every process
     * of the host, under a lock that each fork and each exit needs. */
    if (!was_payload_alone(state))
        empty(state);
    renumber(state);
    error = stream_pipe(launcher, pipes);
    if (error != 0)
        return error;
    error = stream_pipe(launcher, pipes + 2);
    if (error != 0) {
        close(pipes[0]);
        close(pipes[1]);
    }
    return error;
}

/* Binds the init to the slot's core once the slot has been there for some runs. The kernel leaves the init on the core
 * of its last wake-up. That may be the other slot's core: then each CELL_REST interrupts a program there, while our
 * slot waits for us on an idle core. `scaling_ratio` of the bench, two slots on two cores, went from 0.87-0.90 to
 * 0.91-0.93. */
static void follow_slot(struct state *state) {
    int cpu = state->tally->slot_cpu;
    cpu_set_t set;

    if (cpu != state->cpu) {
        state->cpu = cpu;
        state->cpu_runs = 0;
    } else if (state->cpu_runs < SETTLED_RUNS && ++state->cpu_runs == SETTLED_RUNS && cpu >= 0 &&
               CPU_COUNT(&state->cores) > 1) {
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        state->bound = sched_setaffinity(0, sizeof set, &set) == 0 || state->bound;
    }
}

/* Lifts the binding, so that an init that must end a fork bomb can run on any core. */
static void leave_slot(struct state *state) {
    if (state->bound)
        (void)sched_setaffinity(0, sizeof state->cores, &state->cores);
    state->bound = false;
    state->cpu_runs = 0;
}

static void answer_rest(struct state *state) {
    int pipes[4];
    int error = restore(state, pipes);

    answer(state, CELL_REST, "pipes", error, pipes, error == 0 ? 4 : 0);
    for (int i = 0; error == 0 && i < 4; i++)
        close(pipes[i]);
    follow_slot(state);
}

static bool handle_order(struct state *state) {
    static struct sampler sampler;
    struct cell_message order;
    size_t count;
    ssize_t size = sys_receive(state->channel, &order, sizeof order, NULL, 0, &count);
    int error = 0;

    if (size != (ssize_t)sizeof order)
        return false;
    switch ((enum cell_order)order.kind) {
    case CELL_EMPTY:
        leave_slot(state);
        empty(state);
        break;
    case CELL_SCRATCH:
        error = rootfs_scratch(order.bytes, SCRATCH_INODES, state->launcher->uid, state->launcher->gid);
        break;
    case CELL_REST:
        answer_rest(state);
        return true;
    case CELL_CROWD:
        if (state->proc >= 0) {
            sampler_open(&sampler, state->proc);
            sampler_set_share(&sampler, order.share);
        } else {
            sampler_share_tasks(order.tasks, order.task_count, order.share);
        }
        return true;
    case CELL_UP:
        return false;
    }
    answer(state, (enum cell_order)order.kind, "scratch", error, NULL, 0);
    return true;
}

_Noreturn void init_main(const struct launcher *launcher, struct cell_tally *tally, int channel) {
    struct state state = {.launcher = launcher, .tally = tally, .channel = channel, .proc = -1, .last_pid = -1};
    const char *step = "";
    int error;

    sys_keep_only(&channel, 1);
    error = set_up(&state, &step);
    if (error != 0) {
        answer(&state, CELL_UP, step, error, NULL, 0);
        _exit(1);
    }
    for (;;) {
        struct pollfd watched[] = {{.fd = channel, .events = POLLIN}, {.fd = state.signals, .events = POLLIN}};
        struct signalfd_siginfo info;

        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[1].revents != 0) {
            while (read(state.signals, &info, sizeof info) > 0)
                ;
            reap(&state);
        }
        if (watched[0].revents != 0 && !handle_order(&state))
            _exit(0);
    }
}
