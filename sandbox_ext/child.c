/* Theory of operation
 *
 * Between fork and exec the payload is still our code, and still has our rights; it sheds them in an ordered list of
 * steps, each of which does one thing. The order carries meaning: what needs a right comes before the step that drops
 * it. A step that fails is reported as {step, errno} over a CLOEXEC channel that the program can never hold, so no exit
 * code and no output of a program can look like a failure of ours. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rootfs.h"
#include "run.h"
#include "sys.h"

#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE 41
#endif

/* No controlling terminal, and a group of its own. */
static int setup_session(const struct run_plan *plan) {
    (void)plan;
    return setsid() < 0 ? -errno : 0;
}

static int setup_stdio(const struct run_plan *plan) {
    if (dup2(plan->stdin_fd, 0) < 0 || dup2(plan->stdout_fd, 1) < 0 || dup2(plan->stderr_fd, 2) < 0)
        return -errno;
    return 0;
}

/* The root of what it sees in /proc/self/cgroup is the run's own group. */
static int setup_cgroup_namespace(const struct run_plan *plan) {
    (void)plan;
    return unshare(CLONE_NEWCGROUP) != 0 ? -errno : 0;
}

static int limit(int resource, uint64_t want) {
    struct rlimit now;
    struct rlimit next = {want, want};

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return -errno;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < want) /* raising it takes a right that we may not have */
        next.rlim_cur = next.rlim_max = now.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &next) != 0 ? -errno : 0;
}

/* RLIMIT_NPROC counts a uid, host-wide: setup_process_quota gives it a meaning first. No RLIMIT_AS: Go, Node and Java
 * reserve what they never touch. DATA is a loose backstop (a thread's stack is reserved at STACK's size, and counts);
 * memory is decided from what is measured. So is CPU: that limit counts in ticks, on a loaded host a third too many,
 * and kills in a way that looks like the program's own. CORE is 1, which is no room for a core file either, but which
 * also keeps the kernel from starting the host's crash reporter, as root and once a crash: of a limit of 0 it does not
 * ask that. */
static int setup_limits(const struct run_plan *plan) {
    const struct doj_limits *limits = &plan->request->limits;
    const struct {
        int resource;
        uint64_t value;
    } table[] = {
        {RLIMIT_STACK, limits->memory_bytes},
        {RLIMIT_CORE, 1},
        {RLIMIT_FSIZE, limits->scratch_bytes},
        {RLIMIT_NOFILE, limits->open_files},
        {RLIMIT_CPU, limits->cpu_us / 1000000U * 2 + 5},
        {RLIMIT_DATA, limits->memory_bytes * (4 + limits->processes) + (UINT64_C(1) << 30)},
        {RLIMIT_MEMLOCK, 65536},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_SIGPENDING, 1024},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int error = limit(table[i].resource, table[i].value);

        if (error != 0)
            return error;
    }
    return 0;
}

/* Memory must not grow by 2 MiB at a touch: it is sampled. Kept over fork and exec. */
static int setup_huge_pages(const struct run_plan *plan) {
    (void)plan;
    return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0 ? -errno : 0;
}

/* When the host itself runs out of memory, the run goes first. */
static int setup_oom(const struct run_plan *plan) {
    return sys_write_file(plan->launcher->host_proc, "self/oom_score_adj", "1000");
}

static int setup_directory(const struct run_plan *plan) {
    (void)plan;
    umask(022);
    return chdir(SCRATCH_PATH) != 0 ? -errno : 0;
}

/* Capabilities stay for the next steps (KEEPCAPS) and go in setup_capabilities. In a user namespace of an ordinary user
 * we are this uid already, and supplementary groups cannot be dropped there. */
static int setup_user(const struct run_plan *plan) {
    const struct launcher *launcher = plan->launcher;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (!launcher->privileged)
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(launcher->gid, launcher->gid, launcher->gid) != 0 ||
        setresuid(launcher->uid, launcher->uid, launcher->uid) != 0)
        return -errno;
    /* the change of uid emptied the effective set; the permitted one is still there */
    if (syscall(SYS_capget, &head, data) != 0)
        return -errno;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    if (syscall(SYS_capset, &head, data) != 0)
        return -errno;
    /* and made /proc/self root's */
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ? -errno : 0;
}

/* In a user namespace of its own the kernel counts RLIMIT_NPROC from zero: the limit is the run's, not the uid's. */
static int setup_process_quota(const struct run_plan *plan) {
    const struct launcher *launcher = plan->launcher;
    struct rlimit quota = {plan->request->limits.processes, plan->request->limits.processes};
    char map[64];
    int error;

    if (!launcher->process_quota)
        return 0;
    if (unshare(CLONE_NEWUSER) != 0)
        return -errno;
    error = sys_write_file(launcher->host_proc, "self/setgroups", "deny");
    if (error != 0)
        return error;
    snprintf(map, sizeof map, "%u %u 1", (unsigned)launcher->gid, (unsigned)launcher->gid);
    error = sys_write_file(launcher->host_proc, "self/gid_map", map);
    if (error != 0)
        return error;
    snprintf(map, sizeof map, "%u %u 1", (unsigned)launcher->uid, (unsigned)launcher->uid);
    error = sys_write_file(launcher->host_proc, "self/uid_map", map);
    if (error != 0)
        return error;
    return setrlimit(RLIMIT_NPROC, &quota) != 0 ? -errno : 0;
}

static int setup_capabilities(const struct run_plan *plan) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    (void)plan;
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) != 0)
        return -errno;
    return syscall(SYS_capset, &head, none) != 0 ? -errno : 0;
}

static int setup_no_new_privileges(const struct run_plan *plan) {
    (void)plan;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : 0;
}

/* A program starts with the defaults, whatever the node ignores or blocks. */
static int setup_signals(const struct run_plan *plan) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    (void)plan;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* KILL, STOP and libc's own two answer EINVAL */
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) != 0 ? -errno : 0;
}

/* CLOEXEC rather than closed: the report channel must live until exec. */
static int setup_descriptors(const struct run_plan *plan) {
    (void)plan;
    return syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0 ? -errno : 0;
}

/* Last: after it even our own code may only do what a program may. */
static int setup_seccomp(const struct run_plan *plan) {
    const struct policy_program *policy = &plan->launcher->policies[plan->request->policy];
    struct sock_fprog program = {policy->length, (struct sock_filter *)(uintptr_t)policy->code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 ? -errno : 0;
}

static const struct {
    const char *name;
    int (*step)(const struct run_plan *plan);
} steps[] = {
    {"session", setup_session},
    {"stdio", setup_stdio},
    {"cgroup_namespace", setup_cgroup_namespace},
    {"limits", setup_limits},
    {"huge_pages", setup_huge_pages},
    {"directory", setup_directory},
    {"oom", setup_oom},
    {"user", setup_user},
    {"process_quota", setup_process_quota},
    {"capabilities", setup_capabilities},
    {"no_new_privileges", setup_no_new_privileges},
    {"signals", setup_signals},
    {"descriptors", setup_descriptors},
    {"seccomp", setup_seccomp},
};

static _Noreturn void report_fault(int report, const char *step, int error) {
    struct child_report message = {.cpu_us = 0};

    sys_set_fault(&message.fault, step, error);
    (void)sys_write_all(report, &message, sizeof message);
    _exit(125); /* read by nobody: the report decides */
}

_Noreturn void child_main(const struct run_plan *plan, int report) {
    struct child_report ready = {.cpu_us = 0};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int error = steps[i].step(plan);

        if (error != 0)
            report_fault(report, steps[i].name, error);
    }
    ready.monotonic_us = sys_now_us();
    ready.cpu_us = sys_cpu_us();
    (void)sys_write_all(report, &ready, sizeof ready);
    execve(plan->request->argv[0], (char *const *)(uintptr_t)plan->request->argv,
           (char *const *)(uintptr_t)plan->request->env);
    report_fault(report, "exec", -errno);
}
