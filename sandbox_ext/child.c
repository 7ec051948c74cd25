/* Theory of operation
 *
 * Between clone and exec the payload is still our code. It runs in the slot's memory, on a stack of its own, while the
 * slot is suspended (CLONE_VM | CLONE_VFORK). Nothing is copied, and it writes its report where the slot reads it. So
 * no exit code and no output of a program can look like a failure of ours. For the same reason it makes only raw system
 * calls, in an ordered list of steps, each of which does one thing.
 *
 * State that the slot sets once for all its runs is not set here: see cell.c and, for the rights, shed.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "shed.h"
#include "sys.h"

#define BOMB_TASKS 256U

/* The session is the slot's, and has no terminal: mould.c. The process group is the payload's own or, at weak, the
 * guard's, through which it is killed. */
static int setup_process_group(const struct payload *payload) {
    return setpgid(0, payload->group) != 0 ? -errno : 0;
}

static int setup_stdio(const struct payload *payload) {
    if (dup2(payload->stdin_fd, 0) < 0 || dup2(payload->stdout_fd, 1) < 0 || dup2(payload->stderr_fd, 2) < 0)
        return -errno;
    return 0;
}

/* Makes the run's own group, into which the payload was cloned, the root of its /proc/self/cgroup. */
static int setup_cgroup_namespace(const struct payload *payload) {
    if (payload->launcher->cgroup < 0 || payload->launcher->no_cgroup_namespace)
        return 0;
    return unshare(CLONE_NEWCGROUP) != 0 ? -errno : 0;
}

/* No RLIMIT_AS: Go, Node and Java reserve memory that they never touch. DATA is a loose backstop (a thread's stack is
 * reserved at STACK's size, and counts): memory is decided from the measured figures. So is CPU: RLIMIT_CPU counts in
 * ticks, on a loaded host a third too many, and kills in a way that looks like the program's own. NPROC has a meaning
 * only where the slot has a user namespace of its own; it counts the slot as well. At weak the slot does not have the
 * run's user. Without a uid for each slot NPROC only keeps a fork bomb small until it is seen. */
static int setup_limits(const struct payload *payload) {
    const struct doj_limits *limits = &payload->request->limits;
    const struct launcher *launcher = payload->launcher;
    const uint64_t beside = !launcher->weak ? 1U : launcher->process_quota ? 0U : (payload->user_tasks / BOMB_TASKS + 2U) * BOMB_TASKS;
    const struct {
        int resource;
        uint64_t value;
    } table[] = {
        {RLIMIT_STACK, limits->memory_bytes},
        {RLIMIT_FSIZE, limits->scratch_bytes},
        {RLIMIT_NOFILE, limits->open_files},
        {RLIMIT_CPU, limits->cpu_us / 1000000U * 2 + 5},
        {RLIMIT_DATA, limits->memory_bytes * (4 + limits->processes) + (UINT64_C(1) << 30)},
        {RLIMIT_MEMLOCK, 65536},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_SIGPENDING, 1024},
        {RLIMIT_NPROC, limits->processes + beside},
    };
    const size_t count = sizeof table / sizeof *table - (launcher->process_quota || launcher->weak ? 0 : 1);

    for (size_t i = 0; i < count; i++) {
        struct rlimit now;
        struct rlimit next = {table[i].value, table[i].value};

        if (getrlimit((__rlimit_resource_t)table[i].resource, &now) != 0)
            return -errno;
        if (now.rlim_max < table[i].value) /* raising it takes a right that we may lack */
            next.rlim_cur = next.rlim_max = now.rlim_max;
        if (setrlimit((__rlimit_resource_t)table[i].resource, &next) != 0)
            return -errno;
    }
    return 0;
}

/* Each of our descriptors is CLOEXEC already; this covers forgotten ones. */
static int setup_descriptors(const struct payload *payload) {
    (void)payload;
    return syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0 ? -errno : 0;
}

static int shed(const struct payload *payload, const char **step) {
    if (!payload->shed)
        return 0;
    return shed_rights(payload->launcher, (enum doj_policy)payload->request->policy, payload->confinement, step);
}

/* Returns whether the slot has ended. The death signal reports only an end after it was set, and the guard kills only
 * the members that its group has at that moment. A payload that is late for both must not become the program. */
static bool is_orphaned(const struct payload *payload) {
    return payload->launcher->weak && getppid() != payload->slot;
}

/* Unblocks all signals: the slot blocks all of them, and handles none. */
static int setup_signals(void) {
    sigset_t none;

    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) != 0 ? -errno : 0;
}

static const struct {
    const char *name;
    int (*step)(const struct payload *payload);
} steps[] = {
    {"process_group", setup_process_group},
    {"stdio", setup_stdio},
    {"cgroup_namespace", setup_cgroup_namespace},
    {"limits", setup_limits},
    {"descriptors", setup_descriptors},
};

static _Noreturn void fail(struct payload *payload, const char *step, int error) {
    payload->error = error;
    payload->step = step;
    _exit(125); /* not used: the report decides */
}

int child_main(void *argument) {
    struct payload *payload = argument;
    const char *step = "";
    int failure;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int error = steps[i].step(payload);

        if (error != 0)
            fail(payload, steps[i].name, error);
    }
    failure = shed(payload, &step); /* after the steps that may need rights */
    if (failure != 0)
        fail(payload, step, failure);
    if (is_orphaned(payload))
        fail(payload, "slot", -ESRCH);
    failure = setup_signals();
    if (failure != 0)
        fail(payload, "signals", failure);
    payload->monotonic_us = sys_now_us();
    payload->cpu_us = sys_cpu_us();
    payload->ready = true;
    execve(payload->argv[0], (char *const *)(uintptr_t)payload->argv, (char *const *)(uintptr_t)payload->env);
    fail(payload, "exec", -errno);
}
