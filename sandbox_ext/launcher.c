/* Theory of operation
 *
 * The launcher is a small program of its own, so that each run starts from a small process: forking is cheap, and a
 * trivial program does not inherit the peak memory of a Python. The node starts one launcher and talks to its slots
 * over sockets.
 *
 * Processes
 *     node (Python) ── launcher ── slots, for each place one that runs and one that compiles
 *                                    ├─ init of the slot's cell
 *                                    └─ payload ── all that it forks
 *
 * Credentials
 *     Started as root: the launcher and the inits are root. A payload has uid/gid 65534 (configurable), no groups and
 *     no capabilities. So has its slot, unless runs have cgroups. Started as an ordinary user, or as a root that may
 *     not mount, or with --no-root: the launcher enters a user namespace that maps one uid, the payload's, to the user;
 *     all else is the same. With --weak it works without namespaces: bare.c.
 *
 * Fallbacks
 *     The launcher sets up all features but those that its options exclude, or reports the step that failed. The node
 *     decides which features may be excluded, and in which order: deepoj/adapters/sandbox/preflight.py.
 *
 * Namespaces
 *     launcher   mount (and user, if ordinary): the root of the box is built once, see rootfs.c
 *     each slot  mount, pid (for its children), ipc, uts, net, cgroup; user where process quotas need it: see cell.c
 *
 * Descriptors
 *     control    a socket to the node. We send one HELLO on it. Its end means that the node is gone, for any reason.
 *     slots      one SOCK_SEQPACKET socket each, see wire.h. We keep them open for slots that are renewed.
 *
 * Death
 *     node dies      → we get SIGKILL (death signal of the thread that started us, which also works on a stopped
 *                      process), or see the control socket end, whichever is first
 *     launcher dies  → slots get SIGKILL (the launcher has one thread) → inits likewise → the kernel empties the pid
 *                      namespaces
 *     slot dies      → its init likewise. If the slot reported a spent cell, we start another in its place. Otherwise
 *                      we end; the node sees the sockets close and starts another launcher
 *
 * usage: _launcher --control FD [--slot FD --compile-slot FD] … --uid N --gid N [--mount PATH] … [--headers PATH]
 *        [--cpu-max LINE] [--io-max LINE] … [--weak] [--no-rates] [--no-cgroup] [--no-process-quota] [--no-counting]
 *        [--no-proc] [--no-hostname] [--no-ipc-namespace] [--no-cgroup-namespace] [--no-pivot] [--no-root] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <grp.h>

#include "bare.h"
#include "cgroup.h"
#include "rootfs.h"
#include "run.h"
#include "sampler.h"
#include "sys.h"

/* Features that options can exclude. Each value is a getopt code too, below those of letters. */
enum {
    NO_CGROUP,
    NO_PROCESS_QUOTA,
    NO_COUNTING,
    NO_PROC,
    NO_HOSTNAME,
    NO_IPC_NAMESPACE,
    NO_CGROUP_NAMESPACE,
    NO_PIVOT,
    NO_ROOT,
    NO_RATES,
    WITHOUT_COUNT,
};

#define MAX_SLOTS 512U
#define MAX_MOUNTS 64U
#define MAX_DISKS 64U
#define HELLO_BYTES 1024U
#define UNUSED_MAX 16U
#define LEAVE_US UINT64_C(5000000)

struct options {
    int control;
    struct place {
        int sock;
        enum doj_policy policy;
        pid_t slot;
        unsigned unused; /* consecutive slots that ended before they ran anything */
    } places[MAX_SLOTS];
    unsigned place_count;
    char *mounts[MAX_MOUNTS];
    unsigned mount_count;
    char *cpu_max; /* for each program, or NULL */
    char *io_max[MAX_DISKS];
    unsigned io_max_count;
    char *headers; /* not at weak, where no path can be shown at another place */
    uid_t uid;
    gid_t gid;
    bool weak;
    bool without[WITHOUT_COUNT];
};

#ifdef __SANITIZE_ADDRESS__
/* Leak checking traces the process, which a sandbox forbids. Inits and payloads end by _exit anyway. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0:abort_on_error=1"; }
#endif

static bool is_exit(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

static int parse(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"control", required_argument, NULL, 'c'}, {"slot", required_argument, NULL, 's'},
        {"compile-slot", required_argument, NULL, 'k'},
        {"uid", required_argument, NULL, 'u'},     {"gid", required_argument, NULL, 'g'},
        {"mount", required_argument, NULL, 'm'},   {"headers", required_argument, NULL, 'h'},
        {"cpu-max", required_argument, NULL, 'p'}, {"io-max", required_argument, NULL, 'i'},
        {"weak", no_argument, NULL, 'w'},
        {"no-cgroup", no_argument, NULL, NO_CGROUP},
        {"no-process-quota", no_argument, NULL, NO_PROCESS_QUOTA},
        {"no-counting", no_argument, NULL, NO_COUNTING},
        {"no-proc", no_argument, NULL, NO_PROC},
        {"no-hostname", no_argument, NULL, NO_HOSTNAME},
        {"no-ipc-namespace", no_argument, NULL, NO_IPC_NAMESPACE},
        {"no-cgroup-namespace", no_argument, NULL, NO_CGROUP_NAMESPACE},
        {"no-pivot", no_argument, NULL, NO_PIVOT},
        {"no-root", no_argument, NULL, NO_ROOT},
        {"no-rates", no_argument, NULL, NO_RATES},
        {NULL, 0, NULL, 0},
    };
    int name;

    *options = (struct options){.control = -1, .uid = 65534, .gid = 65534};
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == 'c')
            options->control = atoi(optarg);
        else if ((name == 's' || name == 'k') && options->place_count < MAX_SLOTS)
            options->places[options->place_count++] = (struct place){
                .sock = atoi(optarg), .policy = name == 's' ? DOJ_POLICY_RUN : DOJ_POLICY_COMPILE, .slot = -1};
        else if (name == 'm' && options->mount_count < MAX_MOUNTS)
            options->mounts[options->mount_count++] = optarg;
        else if (name == 'h')
            options->headers = optarg;
        else if (name == 'p')
            options->cpu_max = optarg;
        else if (name == 'i' && options->io_max_count < MAX_DISKS)
            options->io_max[options->io_max_count++] = optarg;
        else if (name == 'u')
            options->uid = (uid_t)strtoul(optarg, NULL, 10);
        else if (name == 'g')
            options->gid = (gid_t)strtoul(optarg, NULL, 10);
        else if (name == 'w')
            options->weak = true;
        else if (name >= 0 && name < WITHOUT_COUNT)
            options->without[name] = true;
        else
            return -EINVAL;
    }
    /* at weak the slots use the uids below this one */
    return options->control < 0 || options->place_count == 0 || options->uid <= options->place_count + 1 || options->gid == 0 ? -EINVAL : 0;
}

static const char *level(const struct launcher *launcher) {
    if (launcher->weak)
        return "weak";
    return launcher->cgroup >= 0 ? "full" : "namespaces";
}

/* Sends the node four lines, or the step that failed. The lines: the level, whether there is a process quota, whether
 * CPU time of processes without a wait is counted, and a sentence about cgroups. */
static void hello(int control, const struct launcher *launcher, const char *why, const struct doj_fault *fault) {
    char text[HELLO_BYTES];
    int length =
        fault ? snprintf(text, sizeof text, "fault\n%s\n%d\n", fault->step, (int)fault->error)
              : snprintf(text, sizeof text, "%s\n%s\n%s\n%.800s\n", level(launcher),
                         launcher->process_quota ? "quota" : "no quota",
                         launcher->cgroup >= 0 || launcher->counting >= 0 ? "counted" : "not counted", why);

    (void)sys_send(control, text, (size_t)length, NULL, 0); /* a node that is gone is noticed right after */
}

static bool may_mount(void) {
    /* trying it is the cheapest test; the mount namespace that it makes is needed anyway */
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0;
}

/* Makes an ordinary user of a root without its rights, as in containers: that is safer than a partial root. */
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
    /* never to 0 within: an inner root gets every capability back at exec */
    snprintf(map, sizeof map, "%u %u 1", (unsigned)options->uid, (unsigned)uid);
    return sys_write_file(AT_FDCWD, "/proc/self/uid_map", map);
}

/* Checks that RLIMIT_NPROC bounds us. It bounds every user but the host's root, also under the uids of a user
 * namespace. So we try: a process at the limit and without capabilities that can still fork is not bounded. Counting
 * alone would notice a fork bomb only after it has filled the host. */
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

/* Sets up a launcher without namespaces. As root each slot gets a uid; otherwise all processes have ours. */
static int set_up_weak(struct launcher *launcher, const struct options *options, int *home, struct doj_fault *fault) {
    static char path[CELL_PATH_BYTES - 8];
    int error;

    launcher->weak = true;
    launcher->privileged = launcher->process_quota = geteuid() == 0 && !options->without[NO_ROOT];
    launcher->shown = options->mounts;
    launcher->shown_count = options->mount_count;
    if (!launcher->privileged) {
        launcher->uid = geteuid();
        launcher->gid = getegid();
    }
    if (launcher->privileged) {
        launcher->uids = bare_take_uids(&launcher->uid, options->place_count);
        if (launcher->uids < 0) {
            sys_set_fault(fault, "uids", launcher->uids);
            return launcher->uids;
        }
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

static int set_up(struct launcher *launcher, const struct options *options, char *why, size_t size, int *home,
                  struct doj_fault *fault) {
    int error;

    launcher->uid = options->uid;
    launcher->gid = options->gid;
    launcher->cgroup = launcher->counting = launcher->uids = -1;
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
    error = !launcher->privileged && launcher->cgroup < 0 ? try_process_bound() : 0;
    if (error != 0) {
        sys_set_fault(fault, "process_bound", error);
        return error;
    }
    /* as our final user: slots must be able to join the group, and we to remove it */
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
    return rootfs_enter(options->uid, options->gid, options->mounts, options->mount_count, options->headers != NULL,
                        options->without[NO_PIVOT], fault);
}

/* Starts the slot of a place. It closes the descriptors of other places: CLOEXEC does not help, since a slot never
 * execs. */
static int fork_slot(const struct launcher *launcher, struct options *options, unsigned number) {
    struct place *place = &options->places[number];
    pid_t parent = getpid();

    place->slot = fork();
    if (place->slot < 0)
        return -errno;
    if (place->slot == 0) {
        int keep[] = {place->sock, launcher->host_proc, launcher->cgroup, launcher->counting};
        static struct launcher own;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        sys_keep_only(keep, sizeof keep / sizeof *keep);
        own = *launcher;
        if (own.weak && own.privileged)
            own.uid -= 1 + number; /* not uid itself, which stronger levels on this host use */
        slot_main(&own, number, place->policy, place->sock);
    }
    return 0;
}

static int fork_slots(const struct launcher *launcher, struct options *options) {
    int error = 0;

    for (unsigned i = 0; i < options->place_count && error == 0; i++)
        error = fork_slot(launcher, options, i);
    return error;
}

/* Reaps ended children. Starts a new slot for each whose cell was spent. Returns -1 when a slot ended otherwise. */
static int renew(const struct launcher *launcher, struct options *options) {
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < options->place_count; i++) {
            struct place *place = &options->places[i];

            if (place->slot != pid)
                continue;
            place->slot = -1;
            place->unused = is_exit(status, SLOT_UNUSED) ? place->unused + 1 : 0;
            if ((!is_exit(status, SLOT_RENEW) && !is_exit(status, SLOT_UNUSED)) || place->unused > UNUSED_MAX ||
                fork_slot(launcher, options, i) != 0)
                return -1;
        }
    return 0;
}

/* Serves until the node is gone, a slot fails, or SIGTERM. */
static void serve(const struct launcher *launcher, struct options *options, int signals) {
    struct pollfd watched[] = {{.fd = options->control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    struct signalfd_siginfo info;

    while (renew(launcher, options) == 0) {
        if (poll(watched, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return; /* the host has no memory for us: the node starts another launcher */
        }
        if (watched[0].revents != 0)
            return;
        if (read(signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo == SIGTERM)
            return;
    }
}

/* Blocks all signals, takes two of them as a descriptor, and resets all actions. So children start with the defaults,
 * not with the node's (Python ignores SIGPIPE). Returns the descriptor. */
static int take_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    int fd;

    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL); /* Ctrl-C, too, is for the node; we end when it ends */
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* KILL, STOP and libc's own two answer EINVAL */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void guard_standard_descriptors(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    sys_close(&fd);
}

/* Kills the slots and all that they leave. The kernel empties pid namespaces. Without one, a run whose slot and guard
 * were killed together is reparented to us. We then kill our children until none is left. */
static void end_children(const struct launcher *launcher, const struct options *options) {
    static const struct timespec pause = {0, 1000000};
    uint64_t until = sys_now_us() + LEAVE_US;

    for (unsigned i = 0; i < options->place_count; i++)
        if (options->places[i].slot > 0)
            kill(options->places[i].slot, SIGKILL);
    while (launcher->weak && sys_now_us() < until) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (errno == ECHILD)
            return;
        sampler_kill_children(launcher->host_proc, getpid());
        nanosleep(&pause, NULL);
    }
    /* inits whose slot died are reparented to us, and are dying already */
    while (!launcher->weak && (waitpid(-1, NULL, 0) > 0 || errno == EINTR))
        ;
}

/* Both calls fail only for wrong arguments. */
static void die_with_parent(void) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* orphans of slots are reparented to us */
}

int main(int argc, char **argv) {
    static struct launcher launcher;
    static struct options options;
    struct doj_fault fault = {.error = 0};
    char why[512] = "";
    int signals;
    int home = -1;
    int error;

    if (parse(argc, argv, &options) != 0) {
        fputs("_launcher: started by the node, not by hand\n", stderr);
        return 2;
    }
    die_with_parent(); /* a node that has died already is noticed at the control socket */
    guard_standard_descriptors();
    signals = take_signals();
    error = signals;
    if (error < 0)
        sys_set_fault(&fault, "signals", error);
    else
        error = set_up(&launcher, &options, why, sizeof why, &home, &fault);
    if (error == 0) {
        die_with_parent(); /* again: a change of user clears it */
        error = fork_slots(&launcher, &options);
        if (error != 0)
            sys_set_fault(&fault, "slots", error);
    }
    hello(options.control, &launcher, why, error != 0 ? &fault : NULL);
    if (error == 0)
        serve(&launcher, &options, signals);
    end_children(&launcher, &options);
    cgroup_remove();
    if (launcher.home != NULL)
        bare_remove_home(launcher.home);
    sys_close(&home);
    sys_close(&launcher.uids); /* last: by now no process uses the uids */
    return error == 0 ? 0 : 1;
}
