/* Theory of operation
 *
 * The launcher is a small program of its own, so that each run starts from a small process. Forking it is cheap, and a
 * trivial program does not inherit Python's peak memory. The node starts one launcher and talks to its slots over
 * sockets.
 *
 * Processes
 *     node (Python) ── launcher ── slots, for each place one that runs and one that compiles
 *                                    ├─ init of the slot's cell
 *                                    └─ payload ── all that it forks
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
 * launcher_options.c has the command line, launcher_setup.c the credentials and the fallbacks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "cgroup.h"
#include "launcher_internal.h"
#include "sampler.h"
#include "slot.h"
#include "sys.h"

#define HELLO_BYTES 1024U
#define UNUSED_MAX 16U
#define LEAVE_US UINT64_C(5000000)

#ifdef __SANITIZE_ADDRESS__
/* Leak checking traces the process, which a sandbox forbids. Inits and payloads end by _exit anyway. Freed memory is
 * kept unused up to the quarantine's size. A payload's peak has the peak of the process that execs it, so with the
 * sanitizer's 256 MiB every limit would be passed after some seconds of samples. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0:quarantine_size_mb=1:abort_on_error=1"; }
#endif

static const char *level(const struct launcher *launcher) {
    if (launcher->weak)
        return "weak";
    return launcher->cgroup >= 0 ? "full" : "namespaces";
}

/* Sends the node five lines, or the step that failed. The lines: the level, whether there is a process quota, whether
 * CPU time of processes without a wait is counted, how many pipes a run may hold (0: not bounded, -1: so few that the
 * bound does not protect its neighbours), and a sentence about cgroups. */
static void hello(int control, const struct launcher *launcher, const char *why, const struct doj_fault *fault) {
    char text[HELLO_BYTES];
    int length =
        fault ? snprintf(text, sizeof text, "fault\n%s\n%d\n", fault->step, (int)fault->error)
              : snprintf(text, sizeof text, "%s\n%s\n%s\n%d\n%.800s\n", level(launcher),
                         launcher->process_quota ? "quota" : "no quota",
                         launcher->cgroup >= 0 || launcher->counting >= 0 ? "counted" : "not counted",
                         launcher->short_of_pipes ? -1 : (int)launcher->pipes, why);

    (void)sys_send(control, text, (size_t)length, NULL, 0); /* a node that is gone is noticed right after */
}

/* Starts the slot of a place. It closes the descriptors of other places: CLOEXEC does not help, since a slot never
 * execs. */
static int fork_slot(const struct launcher *launcher, struct options *options, unsigned number) {
    struct place *place = &options->places[number];
    place->slot = fork();
    if (place->slot < 0)
        return -errno;
    if (place->slot == 0) {
        int keep[] = {place->sock, launcher->host_proc, launcher->cgroup, launcher->counting};
        static struct launcher own;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != launcher->pid)
            _exit(1);
        sys_keep_only(keep, sizeof keep / sizeof *keep);
        own = *launcher;
        if (own.privileged)
            own.uid -= 1 + number; /* never uid itself: it may have processes that are none of ours */
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
            return; /* the host lacks memory: the node starts another launcher */
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

/* Opens /dev/null at descriptors 0 to 2 that are closed, so that no other file gets these numbers. */
static void guard_standard_descriptors(void) {
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    sys_close(&fd);
}

/* Kills the slots and all processes of their runs. The kernel empties pid namespaces. Without one, guards and what is
 * left of runs are reparented to us. We kill our children, each together with its group, until none is left. If we are
 * killed meanwhile, each guard is alive, or its group is being killed, too. */
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
        sampler_kill_children(launcher->host_proc);
        nanosleep(&pause, NULL);
    }
    /* inits whose slot died are reparented to us, and are exiting already */
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

    if (launcher_parse(argc, argv, &options) != 0) {
        fputs("_launcher: started by the node, not by hand\n", stderr);
        return 2;
    }
    die_with_parent(); /* if the node has died already, its control socket ends */
    guard_standard_descriptors();
    signals = take_signals();
    error = signals;
    if (error < 0)
        sys_set_fault(&fault, "signals", error);
    else
        error = launcher_set_up(&launcher, &options, why, sizeof why, &home, &fault);
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
