/* Theory of operation
 *
 * Sets up the launcher as its options ask for: its cgroup, its user, its root, its policies.
 *
 * Credentials
 *     Started as root: the launcher and the inits are root. A payload has a uid below 65534 (configurable), which its
 *     slot alone has (uids.c), gid 65534, no groups and no capabilities. So has its slot, unless runs have cgroups.
 *     Started as an ordinary user, or as a root that may not mount, or with --no-root: the launcher enters a user
 *     namespace that maps one uid, the payload's, to the user; all slots have this uid, and all else is the same. With
 *     --weak it works without namespaces: bare.c.
 *
 * Fallbacks
 *     The launcher sets up all features but those that its options exclude, or reports the step that failed. The node
 *     decides which features may be excluded, and in which order: deepoj/adapters/sandbox/preflight.py. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"
#include "cgroup.h"
#include "launcher_internal.h"
#include "rootfs.h"
#include "sampler.h"
#include "stream.h"
#include "sys.h"
#include "uids.h"

#define PAGE_BYTES 4096U
#define DEFAULT_PAGES 16384U /* fs.pipe-user-pages-soft */
#define PIPE_PAGES 16U       /* of a new pipe */
#define LEAST_PIPES 16U      /* that honest programs may need */
#define RUNS_TOGETHER 2U     /* of one slot: a program and its interactor */

static bool may_mount(void) {
    /* the cheapest test is to try; a success makes the mount namespace that is needed anyway */
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0;
}

/* Turns a root that lacks rights, as in containers, into an ordinary user, which is safer than a root with some rights.
 * */
static int become_payload_user(const struct options *options) {
    if (setgroups(0, NULL) != 0 || setresgid(options->gid, options->gid, options->gid) != 0 ||
        setresuid(options->uid, options->uid, options->uid) != 0 || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        return -errno;
    return 0;
}

static int enter_user_namespace(const struct options *options) {
    uid_t uid;
    gid_t gid;
    char map[64];
    int error;

    uid = geteuid();
    gid = getegid();
    if (unshare(CLONE_NEWUSER) != 0)
        return -errno;
    error = sys_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
    if (error != 0)
        return error;
    snprintf(map, sizeof map, "%u %u 1", (unsigned)options->gid, (unsigned)gid);
    error = sys_write_file(AT_FDCWD, "/proc/self/gid_map", map);
    if (error != 0)
        return error;
    /* never to uid 0: root in the namespace would get every capability back at exec */
    snprintf(map, sizeof map, "%u %u 1", (unsigned)options->uid, (unsigned)uid);
    return sys_write_file(AT_FDCWD, "/proc/self/uid_map", map);
}

/* Checks that RLIMIT_NPROC bounds us. It bounds every user but the host's root, which may have another uid in a user
 * namespace. So we try to fork at the limit and without capabilities: if that succeeds, we are not bounded. Counting
 * processes alone would notice a fork bomb only after it has filled the host. */
static int try_process_bound(void) {
    const struct rlimit limit = {1, 1};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (syscall(SYS_capset, &head, none) != 0 || setrlimit(RLIMIT_NPROC, &limit) != 0)
            _exit(1);
        _exit(fork() >= 0); /* the grandchild ends here, too */
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    return is_exit(status, 0) ? 0 : -EPERM;
}

/* A read of a kernel's setting; `otherwise` where it cannot be read. */
static unsigned read_setting(int proc, const char *path, unsigned otherwise) {
    char text[32];

    return sys_read_file(proc, path, text, sizeof text) > 0 ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* Divides the pages of pipes that the kernel gives a user among the slots: half for what programs make, a quarter for
 * the pipes of their outputs, and the rest for descriptors in flight and for the user's other processes. */
static void bound_pipes(struct launcher *launcher, unsigned places) {
    unsigned pages = read_setting(launcher->host_proc, "sys/fs/pipe-user-pages-soft", DEFAULT_PAGES);
    unsigned hard = read_setting(launcher->host_proc, "sys/fs/pipe-user-pages-hard", 0);
    unsigned runs = (places + DOJ_SLOTS_TOGETHER - 1) / DOJ_SLOTS_TOGETHER * RUNS_TOGETHER;
    unsigned each;

    if (pages == 0 || (hard != 0 && hard < pages))
        pages = hard;
    if (pages == 0) /* the kernel gives every user as many as it asks for */
        return;
    each = pages / 2 / PIPE_PAGES / runs;
    if (!launcher->weak) /* there the slot makes pipes itself, under the watch that bounds them */
        launcher->pipes = each < LEAST_PIPES ? LEAST_PIPES : each < SAMPLER_MAX_PIPES ? each : SAMPLER_MAX_PIPES - 1;
    launcher->short_of_pipes = each < LEAST_PIPES;
    while (launcher->stream_bytes > PIPE_PAGES * PAGE_BYTES &&
           (uint64_t)launcher->stream_bytes / PAGE_BYTES * 2U * places > pages / 4)
        launcher->stream_bytes /= 2;
}

/* Gives each slot a uid. */
static int take_uids(struct launcher *launcher, const struct options *options, struct doj_fault *fault) {
    launcher->uids = uids_take(launcher->host_proc, &launcher->uid, options->place_count);
    if (launcher->uids < 0)
        sys_set_fault(fault, "uids", launcher->uids);
    return launcher->uids < 0 ? launcher->uids : 0;
}

/* Sets up a launcher without namespaces. If we are root, each slot gets a uid. Otherwise all processes have ours. */
static int set_up_weak(struct launcher *launcher, const struct options *options, int *home, struct doj_fault *fault) {
    static char path[CELL_PATH_BYTES - 8];
    int error;

    launcher->weak = true;
    launcher->privileged = launcher->process_quota = geteuid() == 0 && !options->without[NO_ROOT];
    launcher->blind = launcher->privileged && bare_is_blind();
    launcher->shown = options->mounts;
    launcher->shown_count = options->mount_count;
    if (!launcher->privileged) {
        launcher->uid = geteuid();
        launcher->gid = getegid();
    }
    if (launcher->privileged) {
        error = take_uids(launcher, options, fault);
        if (error != 0)
            return error;
        error = bare_try_to_kill(launcher->uid - 1);
        if (error != 0) {
            sys_set_fault(fault, "kill", error);
            return error;
        }
    }
    *home = bare_home(path, sizeof path);
    if (*home < 0) {
        sys_set_fault(fault, "home", *home);
        return *home;
    }
    launcher->home = path;
    return 0;
}

int launcher_set_up(struct launcher *launcher, const struct options *options, char *why, size_t size, int *home,
                    struct doj_fault *fault) {
    int error;

    launcher->pid = getpid();
    launcher->uid = options->uid;
    launcher->gid = options->gid;
    launcher->cgroup = launcher->counting = launcher->uids = -1;
    launcher->stream_bytes = STREAM_PIPE_BYTES;
    if (!options->without[NO_RATES])
        launcher->rates = (struct cgroup_rates){options->cpu_max, options->io_max, options->io_max_count};
    snprintf(why, size, "cgroups are switched off");
    if (!options->without[NO_CGROUP] && !options->weak)
        launcher->cgroup = cgroup_prepare(launcher->rates.io_max_count > 0, why, size);
    if (launcher->cgroup >= 0)
        snprintf(why, size, "cgroup v2 limits memory and processes");
    launcher->process_quota = !options->without[NO_PROCESS_QUOTA] && launcher->cgroup < 0;
    launcher->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* All figures come from /proc. If it is not mounted, the directory is empty. */
    error = launcher->host_proc < 0 || faccessat(launcher->host_proc, "self/stat", R_OK, 0) != 0 ? -errno : 0;
    if (error != 0) {
        sys_set_fault(fault, "host_proc", error);
        return error;
    }
    launcher->no_proc = options->without[NO_PROC];
    launcher->no_hostname = options->without[NO_HOSTNAME];
    launcher->no_ipc_namespace = options->without[NO_IPC_NAMESPACE];
    launcher->no_cgroup_namespace = options->without[NO_CGROUP_NAMESPACE];
    if (options->weak) {
        error = set_up_weak(launcher, options, home, fault);
        if (error != 0)
            return error;
    } else {
        /* before the change of user, which may make the path inaccessible */
        if (options->headers != NULL && chdir(options->headers) != 0) {
            error = -errno;
            sys_set_fault(fault, "headers", error);
            return error;
        }
        launcher->privileged = !options->without[NO_ROOT] && may_mount();
        error = launcher->privileged ? take_uids(launcher, options, fault) : 0;
        if (error != 0)
            return error;
        error = !launcher->privileged && geteuid() == 0 ? become_payload_user(options) : 0;
        /* With --no-root we may have to stay root, in a user namespace that maps root alone. Then root maps itself. */
        if (error != 0 && !options->without[NO_ROOT]) {
            sys_set_fault(fault, "user", error);
            return error;
        }
        if (!launcher->privileged && (error = enter_user_namespace(options)) != 0) {
            sys_set_fault(fault, "user_namespace", error);
            return error;
        }
    }
    if (!launcher->privileged)
        bound_pipes(launcher, options->place_count);
    error = !launcher->privileged && launcher->cgroup < 0 ? try_process_bound() : 0;
    if (error != 0) {
        sys_set_fault(fault, "process_bound", error);
        return error;
    }
    /* with our final user, for slots must be able to join the group, and we to remove it */
    if (launcher->cgroup < 0 && !options->without[NO_COUNTING])
        launcher->counting = cgroup_prepare_counting();
    error = policy_assemble(DOJ_POLICY_RUN, options->weak, &launcher->policies[DOJ_POLICY_RUN]);
    if (error == 0)
        error = policy_assemble(DOJ_POLICY_COMPILE, options->weak, &launcher->policies[DOJ_POLICY_COMPILE]);
    if (error != 0) {
        sys_set_fault(fault, "policy", error);
        return error;
    }
    if (options->weak)
        return 0;
    return rootfs_enter(launcher->uid, launcher->privileged ? options->place_count : 0, options->gid, options->mounts,
                        options->mount_count, options->headers != NULL, options->without[NO_PIVOT], fault);
}
