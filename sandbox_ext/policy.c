/* Theory of operation
 *
 * A policy is a table of system calls, each with what is answered. Three answers beside "yes": EPERM for a call that we
 * know and refuse, ENOSYS for one whose absence libraries know how to live with (and for every call not in the table,
 * so that a newer libc falls back), and KILL for a call from a foreign instruction set, which no honest program makes.
 * Some calls are judged by an argument; the checks are few, and each has a name.
 *
 * What the filter sees of an argument is a number, never the memory behind a pointer. So nothing here decides by path
 * or by a structure: clone3, whose flags lie in memory, is answered ENOSYS, and libc falls back to clone.
 *
 * The table is turned into a balanced binary tree over call numbers once, when the launcher starts: eight comparisons
 * a call instead of some hundred. Neighbours with the same answer are one leaf. */
#define _GNU_SOURCE
#include "policy.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#if defined(__x86_64__)
#define POLICY_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define POLICY_ARCH AUDIT_ARCH_AARCH64
#else
#error "the seccomp policy knows x86_64 and aarch64"
#endif

enum answer {
    ALLOW = 0,
    REFUSE,  /* EPERM */
    ABSENT,  /* ENOSYS */
    COMPILE, /* ALLOW under DOJ_POLICY_COMPILE, else REFUSE */
    CLONE_CHECK,
    SOCKET_CHECK,
    PRCTL_CHECK,
    IOCTL_CHECK,
    SELF_CHECK, /* first argument, a pid, must be 0: the caller itself */
    PERSONALITY_CHECK,
    MMAP_CHECK,
    SETSOCKOPT_CHECK,
    SETRLIMIT_CHECK,
    PRLIMIT_CHECK,
};

struct rule {
    long number;
    enum answer answer;
};

#define CALL(name, answer) {__NR_##name, answer}

static const struct rule rules[] = {
    /* -- bytes in and out; writev is what iostreams use for large strings */
    CALL(read, ALLOW), CALL(write, ALLOW), CALL(readv, ALLOW), CALL(writev, ALLOW), CALL(pread64, ALLOW),
    CALL(pwrite64, ALLOW), CALL(preadv, ALLOW), CALL(pwritev, ALLOW), CALL(preadv2, ALLOW), CALL(pwritev2, ALLOW),
    CALL(lseek, ALLOW), CALL(sendfile, ALLOW), CALL(copy_file_range, ALLOW), CALL(fsync, ALLOW),
    CALL(fdatasync, ALLOW), CALL(sync_file_range, ALLOW), CALL(fadvise64, ALLOW), CALL(readahead, ALLOW),
    /* -- descriptors */
    CALL(openat, ALLOW), CALL(close, ALLOW), CALL(close_range, ALLOW), CALL(dup, ALLOW), CALL(dup3, ALLOW),
    CALL(fcntl, ALLOW), CALL(flock, ALLOW), CALL(pipe2, ALLOW), CALL(eventfd2, ALLOW), CALL(epoll_create1, ALLOW),
    CALL(epoll_ctl, ALLOW), CALL(epoll_pwait, ALLOW), CALL(epoll_pwait2, ALLOW), CALL(ppoll, ALLOW),
    CALL(pselect6, ALLOW), CALL(timerfd_create, ALLOW), CALL(timerfd_settime, ALLOW), CALL(timerfd_gettime, ALLOW),
    CALL(signalfd4, ALLOW), CALL(ioctl, IOCTL_CHECK),
    /* -- files; the root is read-only, the scratch is this run's own */
    CALL(newfstatat, ALLOW), CALL(fstat, ALLOW), CALL(statx, ALLOW), CALL(statfs, ALLOW), CALL(fstatfs, ALLOW),
    CALL(faccessat, ALLOW), CALL(faccessat2, ALLOW), CALL(readlinkat, ALLOW), CALL(getdents64, ALLOW),
    CALL(getcwd, ALLOW), CALL(chdir, ALLOW), CALL(fchdir, ALLOW), CALL(truncate, ALLOW), CALL(ftruncate, ALLOW),
    CALL(fallocate, ALLOW), CALL(mkdirat, ALLOW), CALL(unlinkat, ALLOW), CALL(renameat, ALLOW),
    CALL(renameat2, ALLOW), CALL(umask, ALLOW),
    /* compilers and linkers mark their output executable, make links, copy times */
    CALL(fchmod, COMPILE), CALL(fchmodat, COMPILE), CALL(fchown, COMPILE), CALL(fchownat, COMPILE),
    CALL(symlinkat, COMPILE), CALL(linkat, COMPILE), CALL(utimensat, COMPILE),
    /* -- memory; mremap is what realloc grows with */
    CALL(brk, ALLOW), CALL(mmap, MMAP_CHECK), CALL(munmap, ALLOW), CALL(mremap, ALLOW), CALL(mprotect, ALLOW),
    CALL(madvise, ALLOW), CALL(mincore, ALLOW), CALL(msync, ALLOW), CALL(membarrier, ALLOW), CALL(mlock, ALLOW),
    CALL(munlock, ALLOW), CALL(get_mempolicy, ALLOW), CALL(pkey_alloc, ABSENT), CALL(pkey_free, ABSENT),
    CALL(pkey_mprotect, ABSENT),
    /* memory that belongs to no process's resident set would hide from the sampler */
    CALL(memfd_create, ABSENT),
#ifdef __NR_memfd_secret
    CALL(memfd_secret, ABSENT),
#endif
    /* -- threads, time, signals; abort is tgkill */
    CALL(futex, ALLOW), CALL(set_robust_list, ALLOW), CALL(get_robust_list, ALLOW), CALL(set_tid_address, ALLOW),
    CALL(rseq, ALLOW), CALL(gettid, ALLOW), CALL(sched_yield, ALLOW), CALL(sched_getaffinity, ALLOW),
    CALL(sched_getparam, ALLOW), CALL(sched_getscheduler, ALLOW), CALL(sched_get_priority_max, ALLOW),
    CALL(sched_get_priority_min, ALLOW), CALL(getcpu, ALLOW), CALL(nanosleep, ALLOW), CALL(clock_nanosleep, ALLOW),
    CALL(clock_gettime, ALLOW), CALL(clock_getres, ALLOW), CALL(gettimeofday, ALLOW), CALL(times, ALLOW),
    CALL(getitimer, ALLOW), CALL(setitimer, ALLOW), CALL(timer_create, ALLOW), CALL(timer_settime, ALLOW),
    CALL(timer_gettime, ALLOW), CALL(timer_getoverrun, ALLOW), CALL(timer_delete, ALLOW), CALL(rt_sigaction, ALLOW),
    CALL(rt_sigprocmask, ALLOW), CALL(rt_sigreturn, ALLOW), CALL(rt_sigpending, ALLOW), CALL(rt_sigtimedwait, ALLOW),
    CALL(rt_sigsuspend, ALLOW), CALL(rt_sigqueueinfo, ALLOW), CALL(rt_tgsigqueueinfo, ALLOW), CALL(sigaltstack, ALLOW),
    CALL(kill, ALLOW), CALL(tkill, ALLOW), CALL(tgkill, ALLOW), CALL(restart_syscall, ALLOW), CALL(getrandom, ALLOW),
    /* -- processes, within the run's limit; the pid namespace is emptied afterwards */
    CALL(clone, CLONE_CHECK), CALL(execve, ALLOW), CALL(wait4, ALLOW), CALL(waitid, ALLOW), CALL(exit, ALLOW),
    CALL(exit_group, ALLOW), CALL(getpid, ALLOW), CALL(getppid, ALLOW), CALL(setpgid, ALLOW), CALL(getpgid, ALLOW),
    CALL(getsid, ALLOW), CALL(setsid, ALLOW), CALL(prctl, PRCTL_CHECK), CALL(prlimit64, PRLIMIT_CHECK),
    CALL(getrlimit, ALLOW), CALL(setrlimit, SETRLIMIT_CHECK), CALL(getrusage, ALLOW), CALL(getpriority, ALLOW),
    CALL(sched_getattr, SELF_CHECK),
    /* its flags lie in memory, where a filter cannot look */
    CALL(clone3, ABSENT),
    /* would exec a descriptor that no path names; nothing needs it */
    CALL(execveat, ABSENT),
    /* -- who am I */
    CALL(getuid, ALLOW), CALL(geteuid, ALLOW), CALL(getgid, ALLOW), CALL(getegid, ALLOW), CALL(getresuid, ALLOW),
    CALL(getresgid, ALLOW), CALL(getgroups, ALLOW), CALL(capget, ALLOW), CALL(uname, ALLOW), CALL(sysinfo, ALLOW),
    CALL(personality, PERSONALITY_CHECK),
    /* -- sockets between own processes; the net namespace has nothing else in it */
    CALL(socket, SOCKET_CHECK), CALL(socketpair, SOCKET_CHECK), CALL(bind, ALLOW), CALL(listen, ALLOW),
    CALL(accept, ALLOW), CALL(accept4, ALLOW), CALL(connect, ALLOW), CALL(getsockname, ALLOW),
    CALL(getpeername, ALLOW), CALL(sendto, ALLOW), CALL(recvfrom, ALLOW), CALL(sendmsg, ALLOW), CALL(recvmsg, ALLOW),
    CALL(shutdown, ALLOW), CALL(setsockopt, SETSOCKOPT_CHECK), CALL(getsockopt, ALLOW),
#if defined(__x86_64__)
    /* -- the older spellings that only this architecture has */
    CALL(open, ALLOW), CALL(creat, ALLOW), CALL(stat, ALLOW), CALL(lstat, ALLOW), CALL(access, ALLOW),
    CALL(readlink, ALLOW), CALL(getdents, ALLOW), CALL(mkdir, ALLOW), CALL(rmdir, ALLOW), CALL(unlink, ALLOW),
    CALL(rename, ALLOW), CALL(dup2, ALLOW), CALL(pipe, ALLOW), CALL(poll, ALLOW), CALL(select, ALLOW),
    CALL(epoll_create, ALLOW), CALL(epoll_wait, ALLOW), CALL(eventfd, ALLOW), CALL(signalfd, ALLOW),
    CALL(time, ALLOW), CALL(alarm, ALLOW), CALL(pause, ALLOW), CALL(fork, ALLOW), CALL(vfork, ALLOW),
    CALL(getpgrp, ALLOW), CALL(arch_prctl, ALLOW), CALL(chmod, COMPILE), CALL(chown, COMPILE), CALL(lchown, COMPILE),
    CALL(symlink, COMPILE), CALL(link, COMPILE), CALL(utime, COMPILE), CALL(utimes, COMPILE),
    CALL(futimesat, COMPILE), CALL(iopl, REFUSE), CALL(ioperm, REFUSE), CALL(modify_ldt, REFUSE),
    CALL(mknod, REFUSE), CALL(inotify_init, REFUSE), CALL(uselib, ABSENT), CALL(sysfs, REFUSE), CALL(ustat, ABSENT),
#endif
    /* -- refused, with the reason
     * looking into, or steering, other processes */
    CALL(ptrace, REFUSE), CALL(process_vm_readv, REFUSE), CALL(process_vm_writev, REFUSE), CALL(kcmp, REFUSE),
    CALL(setpriority, REFUSE), CALL(sched_setaffinity, REFUSE), CALL(sched_setscheduler, REFUSE),
    CALL(sched_setparam, REFUSE), CALL(sched_setattr, REFUSE), CALL(ioprio_set, REFUSE), CALL(migrate_pages, REFUSE),
    CALL(move_pages, REFUSE), CALL(mbind, REFUSE), CALL(set_mempolicy, REFUSE),
    /* new worlds, and changes to this one */
    CALL(unshare, REFUSE), CALL(setns, REFUSE), CALL(mount, REFUSE), CALL(umount2, REFUSE), CALL(pivot_root, REFUSE),
    CALL(chroot, REFUSE), CALL(fsopen, REFUSE), CALL(fsconfig, REFUSE), CALL(fsmount, REFUSE), CALL(fspick, REFUSE),
    CALL(open_tree, REFUSE), CALL(move_mount, REFUSE), CALL(mount_setattr, REFUSE), CALL(mknodat, REFUSE),
    CALL(swapon, REFUSE), CALL(swapoff, REFUSE), CALL(reboot, REFUSE), CALL(sethostname, REFUSE),
    CALL(setdomainname, REFUSE), CALL(acct, REFUSE), CALL(quotactl, REFUSE), CALL(vhangup, REFUSE),
    CALL(settimeofday, REFUSE), CALL(clock_settime, REFUSE), CALL(adjtimex, REFUSE), CALL(clock_adjtime, REFUSE),
    CALL(init_module, REFUSE), CALL(finit_module, REFUSE), CALL(delete_module, REFUSE), CALL(kexec_load, REFUSE),
    CALL(syslog, REFUSE),
    /* files by handle go round every mount */
    CALL(name_to_handle_at, REFUSE), CALL(open_by_handle_at, REFUSE),
    /* credentials: there is nothing to change to */
    CALL(setuid, REFUSE), CALL(setgid, REFUSE), CALL(setreuid, REFUSE), CALL(setregid, REFUSE),
    CALL(setresuid, REFUSE), CALL(setresgid, REFUSE), CALL(setfsuid, REFUSE), CALL(setfsgid, REFUSE),
    CALL(setgroups, REFUSE), CALL(capset, REFUSE),
    /* large kernel surfaces with a history, or things that outlive a process */
    CALL(bpf, REFUSE), CALL(perf_event_open, REFUSE), CALL(userfaultfd, REFUSE), CALL(io_uring_setup, ABSENT),
    CALL(io_uring_enter, ABSENT), CALL(io_uring_register, ABSENT), CALL(add_key, REFUSE), CALL(request_key, REFUSE),
    CALL(keyctl, REFUSE), CALL(shmget, REFUSE), CALL(shmat, REFUSE), CALL(shmctl, REFUSE), CALL(shmdt, REFUSE),
    CALL(semget, REFUSE), CALL(semop, REFUSE), CALL(semctl, REFUSE), CALL(semtimedop, REFUSE), CALL(msgget, REFUSE),
    CALL(msgsnd, REFUSE), CALL(msgrcv, REFUSE), CALL(msgctl, REFUSE), CALL(mq_open, REFUSE), CALL(mq_unlink, REFUSE),
    CALL(mq_timedsend, REFUSE), CALL(mq_timedreceive, REFUSE), CALL(mq_notify, REFUSE), CALL(mq_getsetattr, REFUSE),
    CALL(fanotify_init, REFUSE), CALL(fanotify_mark, REFUSE), CALL(inotify_init1, REFUSE), CALL(lookup_dcookie, ABSENT),
    CALL(io_setup, ABSENT), CALL(io_submit, ABSENT), CALL(io_getevents, ABSENT), CALL(io_destroy, ABSENT),
    CALL(io_cancel, ABSENT), CALL(remap_file_pages, REFUSE), CALL(vmsplice, REFUSE), CALL(seccomp, REFUSE),
    CALL(setxattr, REFUSE), CALL(lsetxattr, REFUSE), CALL(fsetxattr, REFUSE), CALL(removexattr, REFUSE),
    CALL(lremovexattr, REFUSE), CALL(fremovexattr, REFUSE),
    /* locks that a run cannot need, on memory that it would take from others */
    CALL(mlockall, REFUSE), CALL(mlock2, REFUSE),
    CALL(nfsservctl, ABSENT),
};

/* ioctls that libraries make on plain descriptors; anything that drives a device or injects input is not among them */
static const uint32_t ioctls_allowed[] = {0x5401 /* TCGETS */, 0x5413 /* TIOCGWINSZ */, FIONREAD, FIONBIO,
                                          0x5450 /* FIONCLEX */, 0x5451 /* FIOCLEX */};

/* PR_SET_THP_DISABLE is absent on purpose: with huge pages memory would grow seven times faster than it is sampled. */
static const uint32_t prctls_allowed[] = {PR_SET_PDEATHSIG, PR_GET_PDEATHSIG,     PR_GET_DUMPABLE,     PR_SET_DUMPABLE,
                                          PR_SET_NAME,      PR_GET_NAME,          PR_CAPBSET_READ,     PR_GET_KEEPCAPS,
                                          PR_GET_SECCOMP,   PR_GET_NO_NEW_PRIVS,  PR_SET_NO_NEW_PRIVS,
                                          PR_GET_TIMERSLACK, PR_SET_VMA,          PR_GET_THP_DISABLE};

/* Memory that is shared but is no file's stays when nobody maps it any more, and then belongs to no resident set; huge
 * pages never do. (A file's stays too, within the scratch.) */
#define MMAP_SHARED_MEMORY ((uint32_t)(MAP_SHARED | MAP_ANONYMOUS))

/* A buffer between sockets is kernel memory, in no resident set: it keeps the size that the host gives it. */
static const uint32_t buffer_sizes[] = {SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE};

/* CLONE_PARENT would hang a child on our init instead of its maker. */
#define CLONE_REFUSED                                                                                                  \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |      \
     CLONE_NEWTIME | CLONE_PARENT | CLONE_PTRACE)

/* ---- assembling -------------------------------------------------------------------------------------------------- */

struct leaf {
    uint32_t first; /* from this call number up to the next leaf's */
    enum answer answer;
};

#define MAX_LEAVES 512U

struct assembler {
    struct policy_program *program;
    struct leaf leaves[MAX_LEAVES];
    size_t leaf_count;
    bool full;
};

static void emit(struct assembler *assembler, struct sock_filter instruction) {
    struct policy_program *program = assembler->program;

    if (program->length >= POLICY_MAX_INSTRUCTIONS) {
        assembler->full = true;
        return;
    }
    program->code[program->length++] = instruction;
}

static void emit_return(struct assembler *assembler, uint32_t value) {
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value));
}

static void emit_refuse(struct assembler *assembler, int error) {
    emit_return(assembler, SECCOMP_RET_ERRNO | (uint32_t)error);
}

/* Loads the low half of an argument: every check below is of a C int or of flags in the low half. */
static void emit_load_argument(struct assembler *assembler, unsigned index) {
    uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));

    emit(assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void emit_load_high(struct assembler *assembler, unsigned index) {
    uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) + sizeof(uint32_t));

    emit(assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* Goes on with the next instruction but `skip` when the loaded word equals the value, else with the next. */
static void emit_skip_if(struct assembler *assembler, uint32_t value, unsigned char skip) {
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0));
}

static void emit_mmap(struct assembler *assembler) {
    emit_load_argument(assembler, 3);
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_HUGETLB, 3, 0));
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MMAP_SHARED_MEMORY));
    emit_skip_if(assembler, MMAP_SHARED_MEMORY, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

static void emit_setsockopt(struct assembler *assembler) {
    const size_t count = sizeof buffer_sizes / sizeof *buffer_sizes;

    emit_load_argument(assembler, 1);
    emit_skip_if(assembler, SOL_SOCKET, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_load_argument(assembler, 2);
    for (size_t i = 0; i < count; i++)
        emit_skip_if(assembler, buffer_sizes[i], (unsigned char)(count - i));
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

/* A core limit of 1 is what keeps a crash from starting the host's crash reporter (child.c): it may be asked for, not
 * changed. */
static void emit_setrlimit(struct assembler *assembler) {
    emit_load_argument(assembler, 0);
    emit_skip_if(assembler, RLIMIT_CORE, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

static void emit_prlimit(struct assembler *assembler) {
    emit_load_argument(assembler, 0);
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_load_argument(assembler, 1);
    emit_skip_if(assembler, RLIMIT_CORE, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_load_argument(assembler, 2); /* the new limit, or NULL */
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_load_high(assembler, 2);
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_return(assembler, SECCOMP_RET_ALLOW);
}

/* Allows when the loaded word equals one of the values, else answers `error`. */
static void emit_one_of(struct assembler *assembler, const uint32_t *values, size_t count, int error) {
    for (size_t i = 0; i < count; i++) {
        emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1));
        emit_return(assembler, SECCOMP_RET_ALLOW);
    }
    emit_refuse(assembler, error);
}

static void emit_answer(struct assembler *assembler, enum answer answer) {
    static const uint32_t unix_only[] = {AF_UNIX};
    static const uint32_t self_only[] = {0};
    static const uint32_t ask_only[] = {0xffffffffU, 0};

    switch (answer) {
    case ALLOW:
        emit_return(assembler, SECCOMP_RET_ALLOW);
        break;
    case COMPILE: /* resolved by the caller */
    case REFUSE:
        emit_refuse(assembler, EPERM);
        break;
    case ABSENT:
        emit_refuse(assembler, ENOSYS);
        break;
    case CLONE_CHECK:
        emit_load_argument(assembler, 0);
        emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_REFUSED, 0, 1));
        emit_refuse(assembler, EPERM);
        emit_return(assembler, SECCOMP_RET_ALLOW);
        break;
    case SOCKET_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, unix_only, 1, EAFNOSUPPORT);
        break;
    case PRCTL_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, prctls_allowed, sizeof prctls_allowed / sizeof *prctls_allowed, EPERM);
        break;
    case IOCTL_CHECK:
        emit_load_argument(assembler, 1);
        emit_one_of(assembler, ioctls_allowed, sizeof ioctls_allowed / sizeof *ioctls_allowed, ENOTTY);
        break;
    case SELF_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, self_only, 1, EPERM);
        break;
    case PERSONALITY_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, ask_only, 2, EPERM);
        break;
    case MMAP_CHECK:
        emit_mmap(assembler);
        break;
    case SETSOCKOPT_CHECK:
        emit_setsockopt(assembler);
        break;
    case SETRLIMIT_CHECK:
        emit_setrlimit(assembler);
        break;
    case PRLIMIT_CHECK:
        emit_prlimit(assembler);
        break;
    }
}

/* leaves[first, last): one leaf is its answer; more are a comparison, the lower half, the upper half. */
static void emit_tree(struct assembler *assembler, size_t first, size_t last) {
    size_t middle = first + (last - first) / 2;
    unsigned short at;

    if (last - first == 1) {
        emit_answer(assembler, assembler->leaves[first].answer);
        return;
    }
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, assembler->leaves[middle].first, 0, 1));
    at = assembler->program->length;
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
    emit_tree(assembler, first, middle);
    if (assembler->full)
        return;
    /* the distance of a conditional jump is one byte, so the far half is reached by an unconditional one */
    assembler->program->code[at].k = (uint32_t)(assembler->program->length - at - 1);
    emit_tree(assembler, middle, last);
}

static int by_number(const void *left, const void *right) {
    long a = ((const struct rule *)left)->number;
    long b = ((const struct rule *)right)->number;

    return (a > b) - (a < b);
}

static void add_leaf(struct assembler *assembler, uint32_t first, enum answer answer) {
    if (assembler->leaf_count > 0 && assembler->leaves[assembler->leaf_count - 1].answer == answer)
        return;
    if (assembler->leaf_count >= MAX_LEAVES) {
        assembler->full = true;
        return;
    }
    assembler->leaves[assembler->leaf_count++] = (struct leaf){first, answer};
}

static void make_leaves(struct assembler *assembler, enum doj_policy policy) {
    struct rule sorted[sizeof rules / sizeof *rules];
    uint32_t next = 0;

    memcpy(sorted, rules, sizeof rules);
    qsort(sorted, sizeof rules / sizeof *rules, sizeof *rules, by_number);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        uint32_t number = (uint32_t)sorted[i].number;
        enum answer answer = sorted[i].answer;

        if (answer == COMPILE)
            answer = policy == DOJ_POLICY_COMPILE ? ALLOW : REFUSE;
        if (number > next)
            add_leaf(assembler, next, ABSENT);
        add_leaf(assembler, number, answer);
        next = number + 1;
    }
    add_leaf(assembler, next, ABSENT);
}

int policy_assemble(enum doj_policy policy, struct policy_program *program) {
    struct assembler assembler = {.program = program};

    program->length = 0;
    make_leaves(&assembler, policy);
    emit(&assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    emit(&assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, POLICY_ARCH, 1, 0));
    emit_return(&assembler, SECCOMP_RET_KILL_PROCESS);
    emit(&assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
#if defined(__x86_64__)
    /* x32 calls wear this bit: the same numbers with other meanings */
    emit(&assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000000U, 0, 1));
    emit_return(&assembler, SECCOMP_RET_KILL_PROCESS);
#endif
    emit_tree(&assembler, 0, assembler.leaf_count);
    return assembler.full ? -E2BIG : 0;
}
