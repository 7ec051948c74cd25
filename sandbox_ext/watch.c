/* Theory of operation
 *
 * A seccomp filter reports calls to the slot, which decides about each while the caller is suspended. A process can have
 * one such filter alone, so it reports all calls that any part of us wants to see: run_watch.c. A call that is
 * let go on is then decided by the policy, as any other. */
#define _GNU_SOURCE
#include "watch.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy.h"

#ifndef __NR_pipe
#define __NR_pipe __NR_pipe2 /* newer architectures have no pipe */
#endif
#define NO_CALL UINT32_MAX

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(index) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]) + 4)
#define SKIP_IF(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (count), 0)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))

int watch_open(bool actions, bool pipes) {
    struct sock_filter code[] = {
        LOAD(arch),
        SKIP_UNLESS(POLICY_ARCH, 10), /* others are killed by the policy */
        LOAD(nr),
        SKIP_IF(pipes ? __NR_pipe : NO_CALL, 9),
        SKIP_IF(pipes ? __NR_pipe2 : NO_CALL, 8),
        SKIP_UNLESS(actions ? __NR_rt_sigaction : NO_CALL, 6),
        LOAD(args[0]),
        SKIP_UNLESS(SIGCHLD, 4),
        LOAD(args[1]), /* with NULL the call only reads the action */
        SKIP_UNLESS(0, 3),
        LOAD_HIGH(1),
        SKIP_UNLESS(0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    long listener;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return listener < 0 ? -errno : (int)listener;
}

bool watch_receive(int listener, struct watched_call *call) {
    union { /* a newer kernel's struct may be longer */
        struct seccomp_notif call;
        char room[1024];
    } notification;

    memset(&notification, 0, sizeof notification);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0)
        return false;
    *call = (struct watched_call){.id = notification.call.id,
                                  .pid = (pid_t)notification.call.pid,
                                  .pipes = notification.call.data.nr != __NR_rt_sigaction,
                                  .args = {notification.call.data.args[0], notification.call.data.args[1]}};
    return true;
}

void watch_answer(int listener, const struct watched_call *call, int refusal) {
    union {
        struct seccomp_notif_resp answer;
        char room[1024];
    } response;

    memset(&response, 0, sizeof response);
    response.answer.id = call->id;
    response.answer.error = -refusal;
    response.answer.flags = refusal == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response); /* fails if the process is gone */
}
