/* Theory of operation
 *
 * The processes of a run at `weak` are one process group, which no process can leave (setsid and setpgid are refused).
 * Its leader is the guard, a process of ours outside the confinement. kill(-group) reaches all members atomically: a
 * process being forked is either created with the signal pending or not created at all.
 *
 * Orphans are reparented to the slot, a subreaper, which waits for them. The guard is cloned so that an ordinary wait
 * does not see it: if that finds no child, the run is empty.
 *
 * Killing the group kills the guard too, so the cell cannot be reused, like a cell whose init has died; a slot without
 * namespaces is quick to create. After a run that ends by itself the guard stays.
 *
 * Death: when the slot dies, the channel closes and the guard kills the group. A payload that has not exec'ed yet has
 * a copy of the channel's end, so the guard waits until it is a member. The launcher, when it ends, kills guards, but
 * each in one call with its group. For it may be killed itself right afterwards: when the node is killed, the control
 * socket ends first, and the death signal comes later.
 *
 * When slot and guard are killed at the same time from outside, the payload gets its death signal. Its orphans are
 * reparented to the launcher, which kills their group before it exits. If the launcher is killed at the same time too,
 * the payload's children keep running: without a pid namespace no process is left that knows them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"
#include "bare_internal.h"
#include "file_tree.h"
#include "sys.h"

/* The leader of the process group. It waits for the end of the slot, and then kills the group. */
static _Noreturn void guard(int channel) {
    struct pollfd slot = {.fd = channel, .events = POLLIN};

    sys_keep_only(&channel, 1);
    setpgid(0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    while (poll(&slot, 1, -1) < 0)
        ;
    kill(-getpid(), SIGKILL);
    _exit(0);
}

int bare_start_guard(struct cell *cell) {
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return cell_fail(cell, "guard", -errno);
    cell->channel = ends[0];
    pid = sys_fork(&cell->init_fd, true);
    if (pid == 0)
        guard(ends[1]);
    close(ends[1]); /* our copy, so that the channel ends with the guard */
    if (pid < 0)
        return cell_fail(cell, "guard", pid);
    cell->init = pid;
    return setpgid(pid, pid) != 0 ? cell_fail(cell, "guard_group", -errno) : 0; /* before any payload wants to join it */
}

/* Adds the usage of a reaped process to the tally. */
static void count(const struct cell *cell, const struct rusage *usage) {
    struct cell_tally *tally = cell->tally;
    uint64_t rss = (uint64_t)usage->ru_maxrss * 1024U;

    tally->cpu_us += sys_to_us(usage->ru_utime) + sys_to_us(usage->ru_stime);
    if (rss > tally->maxrss_bytes)
        tally->maxrss_bytes = rss;
}

bool bare_is_empty(struct cell *cell) {
    struct rusage usage;
    pid_t pid;

    while ((pid = wait4(-1, NULL, WNOHANG, &usage)) > 0)
        count(cell, &usage);
    return pid < 0 && errno == ECHILD;
}

void bare_reap(struct cell *cell, pid_t payload) {
    struct rusage usage;
    siginfo_t ended;

    for (;;) {
        ended.si_pid = 0;
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0 || ended.si_pid == payload ||
            wait4(ended.si_pid, NULL, WNOHANG, &usage) <= 0)
            return;
        count(cell, &usage);
    }
}

void bare_kill(struct cell *cell) {
    sys_close(&cell->channel);
    if (cell->init > 0) /* not reaped yet, so the group id cannot have been reused */
        kill(-cell->init, SIGKILL);
}

void bare_end(struct cell *cell) {
    struct pollfd gone = {.fd = cell->init_fd, .events = POLLIN};
    struct rusage usage;
    int home;

    bare_kill(cell);
    while (wait4(-1, NULL, 0, &usage) > 0 || errno == EINTR)
        count(cell, &usage);
    while (cell->init_fd >= 0 && poll(&gone, 1, -1) < 0 && errno == EINTR)
        ;
    home = open(cell->launcher->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (chdir("/") == 0 && home >= 0)
        (void)file_tree_remove(home, strrchr(cell->bare.path, '/') + 1); /* or a launcher, later */
    sys_close(&home);
}
