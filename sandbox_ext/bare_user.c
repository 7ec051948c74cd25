/* Theory of operation
 *
 * The user of runs at `weak`. If the node is root, each slot has its own uid (uids.c), so it shares neither files nor
 * RLIMIT_NPROC with other processes. If the node is not root, runs have its uid, and only Landlock and the policy
 * separate them from it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"

/* In a container root may be allowed to give a program another uid, but not to kill it afterwards. We try it on a
 * process that has ended: the kernel checks the same rights as for a living one. */
int bare_try_to_kill(uid_t uid) {
    pid_t pid = fork();
    siginfo_t ended;
    int error;

    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(syscall(SYS_setresuid, uid, uid, uid) != 0);
    error = waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) != 0 || kill(pid, SIGKILL) != 0 ? -errno : 0;
    (void)waitpid(pid, NULL, 0);
    return error;
}

/* Root in a container usually lacks these capabilities (they are not among Docker's default ones). */
bool bare_is_blind(void) {
    const uint32_t needed = 1U << CAP_SYS_PTRACE | 1U << CAP_SYS_NICE;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2];

    return syscall(SYS_capget, &head, caps) != 0 || (caps[0].effective & needed) != needed;
}

/* The effective ids alone. The payload gets no right over us: to end or to trace us it would need our real uid. Niceness
 * and core go by the effective uid, but the kernel refuses both where we have rights that the payload lacks, and the
 * policy refuses the calls. */
static void become(uid_t uid, gid_t gid) {
    if (seteuid(0) != 0 || setegid(gid) != 0 || seteuid(uid) != 0) /* root first, who may change the gid */
        _exit(1); /* a slot that is not root again could not clean up */
}

void bare_become_payload(const struct launcher *launcher) {
    if (launcher->blind)
        become(launcher->uid, launcher->gid);
}

void bare_become_root(const struct launcher *launcher) {
    if (!launcher->blind)
        return;
    become(0, getgid());
    /* The change of user has cleared the death signal. A slot that outlives its launcher must not go on: the next
     * launcher takes its directory and its uid. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != launcher->pid)
        _exit(1);
}
