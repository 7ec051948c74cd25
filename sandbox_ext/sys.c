/* See sys.h. */
#define _GNU_SOURCE
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Not clone3: container engines answer it with ENOSYS, because a seccomp filter cannot read its flags. The last two
 * arguments, which x86_64 and aarch64 order differently, are unused. */
pid_t sys_fork(int *pidfd, bool aside) {
    unsigned long flags = CLONE_PIDFD | (aside ? 0UL : (unsigned long)SIGCHLD);
    long pid = syscall(SYS_clone, flags, 0UL, pidfd, 0UL, 0UL);

    return pid < 0 ? -errno : (pid_t)pid;
}

#define SPAWN_STACK_BYTES (64U * 1024U)
#define SLICE_NS UINT64_C(100000)

typedef int entry(void *argument);

/* clone3 with a stack. libc offers none, and C cannot return twice on two stacks. */
static long clone3_on_stack(const struct clone_args *args, entry *start, void *argument) {
    long result;

#if defined(__x86_64__)
    register entry *start_in __asm__("r8") = start;
    register void *argument_in __asm__("r9") = argument;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "0"((long)SYS_clone3), "D"(args), "S"(sizeof *args), "r"(start_in), "r"(argument_in)
                     : "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
    register long number __asm__("x8") = SYS_clone3;
    register long first __asm__("x0") = (long)args;
    register long second __asm__("x1") = (long)sizeof *args;
    register entry *start_in __asm__("x9") = start;
    register void *argument_in __asm__("x10") = argument;

    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x10\n\t"
                     "blr x9\n\t"
                     "brk #0\n"
                     "1:"
                     : "+r"(first)
                     : "r"(number), "r"(second), "r"(start_in), "r"(argument_in)
                     : "memory", "cc");
    result = first;
#else
#error "clone3 with a stack is written for x86_64 and aarch64"
#endif
    return result;
}

pid_t sys_spawn(int (*start)(void *), void *argument, int cgroup_fd, int *pidfd) {
    static _Alignas(64) char stack[SPAWN_STACK_BYTES];
    struct clone_args args = {.flags = (uint64_t)(CLONE_VM | CLONE_VFORK | CLONE_PIDFD) | CLONE_INTO_CGROUP,
                              .pidfd = (uint64_t)(uintptr_t)pidfd,
                              .exit_signal = SIGCHLD,
                              .stack = (uint64_t)(uintptr_t)stack,
                              .stack_size = sizeof stack,
                              .cgroup = (uint32_t)cgroup_fd};
    long pid;

    if (cgroup_fd < 0) /* clone3 is refused to a slot that has shed its rights */
        pid = clone(start, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, argument, pidfd);
    else
        pid = clone3_on_stack(&args, start, argument);
    if (cgroup_fd < 0)
        return pid < 0 ? -errno : (pid_t)pid;
    return (pid_t)pid;
}

uint64_t sys_to_us(struct timeval time) { return (uint64_t)time.tv_sec * 1000000U + (uint64_t)time.tv_usec; }

unsigned sys_cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return count > 0 ? (unsigned)count : 1U;
}

int sys_core(unsigned number) {
    unsigned left = number % sys_cores();
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((size_t)cpu, &set) && left-- == 0)
            return cpu;
    return -1;
}

static uint64_t clock_us(clockid_t clock) {
    struct timespec time = {0, 0};

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000U + (uint64_t)time.tv_nsec / 1000U;
}

uint64_t sys_now_us(void) { return clock_us(CLOCK_MONOTONIC); }

void sys_hurry(void) {
    struct {
        uint32_t size;
        uint32_t policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime;
        uint64_t deadline;
        uint64_t period;
    } attr = {.size = sizeof attr, .policy = SCHED_OTHER, .flags = SCHED_FLAG_RESET_ON_FORK, .runtime = SLICE_NS};

    (void)syscall(SYS_sched_setattr, 0, &attr, 0U);
}

uint64_t sys_cpu_us(void) { return clock_us(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t sys_cpu_of_us(pid_t pid) {
    clockid_t clock;

    return clock_getcpuclockid(pid, &clock) == 0 ? clock_us(clock) : 0;
}

int sys_write_all(int fd, const void *bytes, size_t size) {
    const char *at = bytes;

    while (size > 0) {
        ssize_t count = write(fd, at, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        at += count;
        size -= (size_t)count;
    }
    return 0;
}

int sys_write_file(int dir, const char *path, const char *text) {
    int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    size_t size = strlen(text);
    ssize_t count;
    int error = 0;

    if (fd < 0)
        return -errno;
    count = write(fd, text, size);
    if (count < 0)
        error = -errno;
    else if ((size_t)count != size)
        error = -EIO;
    close(fd);
    return error;
}

ssize_t sys_read_file(int dir, const char *path, char *buffer, size_t size) {
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;

    if (fd < 0)
        return -errno;
    while (used < size - 1) {
        ssize_t count = read(fd, buffer + used, size - 1 - used);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            int error = -errno;

            close(fd);
            return error;
        }
        if (count == 0)
            break;
        used += (size_t)count;
    }
    close(fd);
    buffer[used] = 0;
    return (ssize_t)used;
}

void sys_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* close_range fails only on kernels without it; those are too old for the sandbox anyway. */
void sys_keep_only(const int *fds, size_t count) {
    unsigned first = 3;

    for (;;) {
        /* the lowest kept descriptor that is not yet behind us */
        unsigned next = ~0U;

        for (size_t i = 0; i < count; i++)
            if (fds[i] >= (int)first && (unsigned)fds[i] < next)
                next = (unsigned)fds[i];
        if (next == ~0U) {
            (void)syscall(SYS_close_range, first, ~0U, 0);
            return;
        }
        if (next > first)
            (void)syscall(SYS_close_range, first, next - 1, 0);
        first = next + 1;
    }
}

int sys_send(int sock, const void *bytes, size_t size, const int *fds, size_t fd_count) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SYS_SEND_FDS)];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t count;

    if (fd_count > SYS_SEND_FDS)
        return -EINVAL;
    if (fd_count > 0) {
        struct cmsghdr *head;

        memset(&control, 0, sizeof control);
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(head), fds, sizeof(int) * fd_count);
    }
    do
        count = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    return (size_t)count == size ? 0 : -EIO;
}

ssize_t sys_receive(int sock, void *buffer, size_t size, int *fds, size_t capacity, size_t *count) {
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * DOJ_MAX_FDS)];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t length;

    *count = 0;
    do
        length = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        size_t there = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < there; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
            if (*count < capacity)
                fds[(*count)++] = fd;
            else
                close(fd);
        }
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < *count; i++)
            close(fds[i]);
        *count = 0;
        return -EMSGSIZE;
    }
    return length;
}

void sys_set_fault(struct doj_fault *fault, const char *step, int negative_errno) {
    memset(fault->step, 0, sizeof fault->step);
    snprintf(fault->step, sizeof fault->step, "%s", step);
    fault->error = -negative_errno;
}
