/* One program with many behaviours, chosen by its first argument: what the sandbox tests run. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024L)

static uint64_t now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void burn(long ms) {
    struct timespec now;

    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static char *touch(long bytes) {
    char *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    for (long i = 0; i < bytes; i += 4096)
        memory[i] = 1;
    return memory;
}

static void flood(int fd, long bytes) {
    static char block[65536];

    memset(block, 'x', sizeof block);
    while (bytes > 0) {
        long size = bytes < (long)sizeof block ? bytes : (long)sizeof block;
        ssize_t count = write(fd, block, (size_t)size);

        if (count < 0)
            exit(9);
        bytes -= count;
    }
}

static int recurse(volatile char *below, long depth) {
    volatile char frame[4096];

    frame[0] = (char)depth;
    return frame[0] + below[0] + recurse(frame, depth + 1);
}

/* Prints "name errno" for a call that must not succeed; 0 when it did. */
static void attempt(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }

static void attempt_open(const char *path, int flags) {
    int fd = open(path, flags, 0644);

    attempt(path, fd);
    if (fd >= 0)
        close(fd);
}

static void *sleeper(void *unused) {
    sleep(60);
    return unused;
}

/* The process lives on in this thread: its first one, which /proc shows, has ended. */
static void *outlive(void *unused) {
    usleep(20000);
    for (int i = 0; i < 1024; i++)
        if (touch(MIB) == NULL)
            break;
    _exit(0);
    return unused;
}

/* Memory that is only read costs page tables and nothing else. */
static int read_much(void) {
    const long bytes = 256L << 30;
    volatile char *memory = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int sum = 0;

    if (memory == MAP_FAILED)
        return 3;
    for (long i = 0; i < bytes; i += 2 * MIB)
        sum += memory[i];
    return sum;
}

static volatile char huge[256 * MIB];

static long map(int flags) { return mmap(NULL, 2 * MIB, PROT_READ, flags, -1, 0) == MAP_FAILED ? -1 : 0; }

static int escape(void) {
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct rlimit core;
    int pair[2] = {-1, -1};

    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);

    attempt("unshare_user", unshare(CLONE_NEWUSER));
    attempt("unshare_net", unshare(CLONE_NEWNET));
    attempt("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    attempt("clone_parent", syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0));
    attempt("clone3", syscall(SYS_clone3, &args, sizeof args));
    attempt("mount", mount("none", "/w", "tmpfs", 0, NULL));
    attempt("umount", umount2("/proc", MNT_DETACH));
    attempt("pivot_root", syscall(SYS_pivot_root, ".", "."));
    attempt("chroot", chroot("/w"));
    attempt("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
    attempt("ptrace_init", ptrace(PTRACE_SEIZE, 1, 0, 0));
    attempt("bpf", syscall(SYS_bpf, 0, NULL, 0));
    attempt("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    attempt("userfaultfd", syscall(SYS_userfaultfd, 0));
    attempt("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    attempt("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    attempt("memfd", syscall(SYS_memfd_create, "x", 0));
    attempt("shmget", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
    attempt("setuid", setuid(0));
    attempt("mknod", mknod("/w/device", S_IFBLK | 0600, 1));
    attempt("setpriority", setpriority(PRIO_PROCESS, 1, 5));
    attempt("prlimit_init", prlimit(1, RLIMIT_NOFILE, &(struct rlimit){1, 1}, NULL));
    attempt("thp", prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    attempt("shared_memory", map(MAP_SHARED | MAP_ANONYMOUS));
    attempt("huge_pages", map(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB));
    attempt("core_limit", setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    attempt("core_limit_1", (long)syscall(SYS_setrlimit, RLIMIT_CORE, &(struct rlimit){0, 0}));
    attempt("buffer", setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 24}, sizeof(int)));
    return getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 1 || map(MAP_PRIVATE | MAP_ANONYMOUS) != 0;
}

static int look_around(void) {
    static const char *const writable[] = {"/x", "/usr/x", "/usr/bin/x", "/bin/x", "/lib/x", "/etc/x", "/etc/passwd",
                                           "/dev/x", "/proc/sys/kernel/hostname", "/proc/self/oom_score_adj"};
    static const char *const secret[] = {"/etc/shadow", "/root", "/home", "/var/log", "/var/lib/dpkg", "/run",
                                         "/sys", "/boot", "/srv", "/opt", "/proc/1/environ", "/proc/1/mem",
                                         "/proc/1/root", "/proc/1/fd", "/dev/tty",
                                         "/dev/zero", "/dev/mem", "/dev/sda", "/dev/vda", "/proc/kcore"};

    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++)
        attempt_open(writable[i], O_WRONLY | O_CREAT);
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        attempt_open(secret[i], O_RDONLY);
    return 0;
}

static int network(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    int unix_pair[2];

    address.sin_addr.s_addr = htonl(0x01010101);
    attempt("inet", socket(AF_INET, SOCK_STREAM, 0));
    attempt("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    attempt("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    attempt("packet", socket(AF_PACKET, SOCK_RAW, 0));
    attempt("vsock", socket(40, SOCK_STREAM, 0));
    printf("socketpair %d\n", socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair));
    return 0;
}

/* What it can see of itself: descriptors, identity, processes. */
static int self(void) {
    int descriptors = 0;
    int processes = -1; /* no listing */
    DIR *list;

    for (int fd = 0; fd < 1024; fd++)
        descriptors += fcntl(fd, F_GETFD) >= 0;
    list = opendir("/proc");
    if (list != NULL) {
        processes = 0;
        for (struct dirent *entry = readdir(list); entry; entry = readdir(list))
            processes += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
        closedir(list);
    }
    printf("fds %d\nuid %d\ngid %d\nprocesses %d\npid %d\npid_is_1 %d\ngroup_leader %d\n", descriptors, (int)getuid(),
           (int)getgid(), processes, (int)getpid(), getpid() == 1, getpgrp() == getpid());
    for (char **variable = environ; *variable; variable++)
        printf("env %s\n", *variable);
    return 0;
}

static int fork_many(int count, int threads) {
    int made = 0;

    for (int i = 0; i < count; i++) {
        if (threads) {
            pthread_t thread;

            if (pthread_create(&thread, NULL, sleeper, NULL) != 0)
                break;
        } else {
            pid_t pid = fork();

            if (pid < 0)
                break;
            if (pid == 0) {
                sleep(60);
                _exit(0);
            }
        }
        made++;
    }
    printf("%d\n", made);
    fflush(stdout);
    _exit(0);
}

struct crew {
    long wanted;
    int stays;
};

static void *start_threads(void *context) {
    const struct crew *crew = context;
    long made = 0;
    pthread_t thread;

    while (made < crew->wanted && pthread_create(&thread, NULL, sleeper, NULL) == 0)
        made++;
    printf("%ld\n", made);
    fflush(stdout);
    while (crew->stays)
        pause();
    _exit(0);
}

/* Starts threads after the end of the first one. In /proc that process has the state of one that has ended. */
static int thread_on(long wanted, int stays) {
    static struct crew crew;
    pthread_t thread;

    crew = (struct crew){wanted, stays};
    if (pthread_create(&thread, NULL, start_threads, &crew) != 0)
        return 3;
    syscall(SYS_exit, 0);
    return 3;
}

static int daemonize(long ms) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            for (;;) /* holds stdout and stderr open */
                pause();
        }
        _exit(0);
    }
    usleep((useconds_t)(ms > 0 ? ms : 20) * 1000);
    puts("gone");
    return 0;
}

/* Children that are never waited for burn in turn: their CPU time is added to no parent. */
static int burn_unwaited(void) {
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int gate[2];
        char byte;

        if (pipe(gate) != 0)
            return 3;
        if (fork() == 0) {
            burn(60);
            _exit(0);
        }
        close(gate[1]);
        while (read(gate[0], &byte, 1) > 0)
            ;
        close(gate[0]);
    }
}

/* All have their memory at one time, however seldom each gets a core; memory of their own they keep for good. */
static int children_touch(int count, long mib, int share) {
    int ready[2];
    int gate[2];
    char byte;

    if ((share && touch(mib * MIB) == NULL) || pipe(ready) != 0 || pipe(gate) != 0)
        return 3;
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            close(gate[1]);
            if (!share && touch(mib * MIB) == NULL)
                _exit(3);
            if (write(ready[1], "x", 1) == 1)
                while (read(gate[0], &byte, 1) > 0)
                    ;
            _exit(0);
        }
    close(ready[1]);
    for (int i = 0; i < count; i++)
        if (read(ready[0], &byte, 1) != 1)
            return 3;
    usleep(400000);
    while (!share)
        pause();
    close(gate[1]);
    while (wait(NULL) > 0)
        ;
    return 0;
}

/* Children that share all memory, and exit one after the other, round after round. */
static int rounds_share(long mib, int rounds) {
    if (touch(mib * MIB) == NULL)
        return 3;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 6; i++)
            if (fork() == 0) {
                usleep(3000 + 200 * (useconds_t)i);
                _exit(0);
            }
        while (wait(NULL) > 0)
            ;
    }
    return 0;
}

/* Three chains of processes that keep memory, together or each for itself: a link forks the next one, and ends. The
 * next one may wait for that, so that a chain never has more than two. What each keeps for itself grows link by link,
 * so that there is no moment without ends in which all of it is seen. Such chains go on until they are ended: how long
 * they take to hold too much depends on who else wants the cores. */
static int chains_keep(long mib, int share, int wait_for_end) {
    uint64_t until = share ? now_us() + 1000000 : UINT64_MAX;

    if (share && touch(mib * MIB) == NULL)
        return 3;
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            for (long own = 0; now_us() < until;) {
                pid_t link = getpid();

                if (!share && own < mib) {
                    if (touch(MIB) == NULL)
                        _exit(3);
                    own++;
                }
                if (fork() > 0) /* a chain goes on where no process was free */
                    _exit(0);
                while (wait_for_end && getppid() == link)
                    sched_yield();
            }
            _exit(0);
        }
    while (now_us() < until)
        usleep(10000);
    return 0;
}

/* The same with children that live for less than a sample, and whom the kernel reaps. */
static int burn_unseen(long total_ms) {
    signal(SIGCHLD, SIG_IGN);
    for (long ms = 0; ms < total_ms; ms++) {
        pid_t child = fork();

        if (child == 0) {
            burn(1);
            _exit(0);
        }
        waitpid(child, NULL, 0); /* returns when the child is gone, with ECHILD, since SIGCHLD is ignored */
    }
    return 0;
}

/* The kernel's struct sigaction, for calls that libc would copy first. */
struct raw_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static struct raw_action flipping;
static volatile int is_caught;

static void *flip(void *unused) {
    for (unsigned long turn = 0; !is_caught; turn++)
        *(volatile unsigned long *)&flipping.flags = turn % 2 ? SA_NOCLDWAIT : 0;
    return unused;
}

static void on_child(int number) { (void)number; }

static void set_child_action(void (*handler)(int), unsigned long flags) {
    struct raw_action action = {.handler = handler, .flags = flags};

    syscall(SYS_rt_sigaction, SIGCHLD, &action, NULL, 8);
}

/* Until the kernel has read SA_NOCLDWAIT where the slot may have read none. */
static void catch_the_moment(void) {
    struct raw_action now = {.flags = 0};

    while ((now.flags & SA_NOCLDWAIT) == 0) {
        syscall(SYS_rt_sigaction, SIGCHLD, &flipping, NULL, 8);
        syscall(SYS_rt_sigaction, SIGCHLD, NULL, &now, 8);
    }
    is_caught = 1;
}

static volatile uint64_t change_at_us;
static _Alignas(64) char orphan_stack[16384];

static int change_in_time(void *unused) {
    (void)unused;
    kill(getppid(), SIGKILL);
    while (!is_caught) {
        if (change_at_us == 0 || now_us() < change_at_us)
            continue;
        flipping.flags = SA_NOCLDWAIT;
        change_at_us = 0;
    }
    _exit(0);
}

/* Leaves a process of one thread that shares our memory, a vfork child of one that has died, and has it change the flags
 * between the slot's look and the kernel's: first too late, then ever sooner. */
static void catch_the_moment_by_orphan(void) {
    struct raw_action now = {.flags = 0};

    if (vfork() == 0) {
        clone(change_in_time, orphan_stack + sizeof orphan_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
        _exit(1);
    }
    for (uint64_t delay_us = 2000; (now.flags & SA_NOCLDWAIT) == 0; delay_us -= delay_us > 10 ? 5 : 0) {
        flipping.flags = 0;
        change_at_us = now_us() + delay_us;
        syscall(SYS_rt_sigaction, SIGCHLD, &flipping, NULL, 8);
        syscall(SYS_rt_sigaction, SIGCHLD, NULL, &now, 8);
        while (change_at_us != 0)
            ;
    }
    is_caught = 1;
}

/* Arranges for the kernel to reap our children, in one of many ways. */
static void lose_children(const char *how) {
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_NOCLDWAIT};
    pthread_t thread;

    if (strcmp(how, "ignoring") == 0)
        signal(SIGCHLD, SIG_IGN);
    else if (strcmp(how, "handling") == 0)
        sigaction(SIGCHLD, &action, NULL);
    else if (strcmp(how, "default") == 0)
        set_child_action(SIG_DFL, SA_NOCLDWAIT);
    else if (strcmp(how, "flipping") == 0) {
        pthread_create(&thread, NULL, flip, NULL);
        catch_the_moment();
    } else if (strcmp(how, "orphaned") == 0) {
        catch_the_moment_by_orphan();
    } else if (strcmp(how, "vforked") == 0)
        set_child_action(SIG_IGN, 0);
}

static void *burn_and_tell(void *bytes) {
    uint64_t *us = bytes;
    uint64_t until = *us;
    struct timespec now;

    do {
        for (volatile int i = 0; i < 1000; i++)
            ;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while ((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 < until);
    return NULL;
}

/* One child that burns for so many microseconds of CPU and says when it is done. */
static void burn_lost_child(const char *how, uint64_t us, int done) {
    pthread_t thread;

    if (strcmp(how, "grandchildren") == 0 && fork() != 0)
        _exit(0);
    if (strcmp(how, "sessions") == 0)
        setsid();
    if (strcmp(how, "threads") == 0) {
        pthread_create(&thread, NULL, burn_and_tell, &us);
        pthread_join(thread, NULL);
    } else
        burn_and_tell(&us);
    if (write(done, "x", 1) != 1)
        _exit(1);
    _exit(0);
}

/* Burns at least so many milliseconds in children of so many microseconds each, and tells of how many. */
static int burn_lost(const char *how, uint64_t us, long total_ms) {
    uint64_t burnt = 0;
    ssize_t told = 0;
    int ends[2];
    char byte;

    if (pipe(ends) != 0)
        return 3;
    if (strcmp(how, "vforked") == 0 && vfork() != 0)
        return 0; /* its child is at an end: it goes on here first */
    lose_children(strcmp(how, "threads") == 0 || strcmp(how, "sessions") == 0 ? "ignoring" : how);
    while (burnt < (uint64_t)total_ms * 1000) {
        pid_t child = strcmp(how, "silent") == 0 ? (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0) : fork();

        if (child == 0)
            burn_lost_child(how, us, ends[1]);
        while (child > 0 && (told = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
            ;
        if (child < 0 || told != 1)
            break; /* as many as there may be stand unreaped */
        burnt += us;
        if (strcmp(how, "waited") == 0 || strcmp(how, "grandchildren") == 0)
            waitpid(child, NULL, 0);
    }
    printf("burnt %llu\n", (unsigned long long)burnt / 1000);
    fflush(stdout);
    _exit(0);
}

/* Sets the handler that stands, so many times. */
static int set_handlers(long times) {
    struct sigaction action = {.sa_handler = SIG_DFL};

    while (times-- > 0)
        sigaction(SIGCHLD, &action, NULL);
    return 0;
}

/* Sets a handler for SIGCHLD so often, after the action of that name, in a process of many mappings; tells how long it took. */
static int handle_often(const char *before, int count) {
    uint64_t from;

    for (int i = 0; i < 300; i++)
        mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, strcmp(before, "ignoring") == 0 ? SIG_IGN : on_child);
    from = now_us();
    for (int i = 0; i < count; i++)
        signal(SIGCHLD, on_child);
    printf("took_us %llu\n", (unsigned long long)(now_us() - from));
    return 0;
}

/* Has so many children side by side, which the kernel reaps and each of which sleeps for some milliseconds, for so long. */
static int sleep_lost(int count, long total_ms) {
    uint64_t until = now_us() + (uint64_t)total_ms * 1000;

    signal(SIGCHLD, SIG_IGN);
    while (now_us() < until) {
        for (int i = 0; i < count; i++)
            if (fork() == 0) {
                usleep(3000);
                _exit(0);
            }
        waitpid(-1, NULL, 0); /* the kernel reaps them: this returns when all have ended */
    }
    return 0;
}

static uint64_t used_us(int who) {
    struct rusage usage;

    getrusage(who, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int tell_used(void) {
    printf("cpu_us %llu\n", (unsigned long long)(used_us(RUSAGE_SELF) + used_us(RUSAGE_CHILDREN)));
    return 0;
}

/* A thread goes on until the process has burnt it. */
static void *burn_in_thread(void *ms) {
    burn(*(long *)ms);
    return NULL;
}

static int burn_in_threads(long ms) {
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, burn_in_thread, &ms);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return tell_used();
}

static int burn_in_children(long ms) {
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            burn((ms + 1) / 2);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return tell_used();
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "ok";
    long number = argc > 2 ? atol(argv[2]) : 0;
    char buffer[65536];
    ssize_t count;

    if (strcmp(mode, "ok") == 0)
        return 0;
    if (strcmp(mode, "exit") == 0)
        return (int)number;
    if (strcmp(mode, "signal") == 0) {
        kill(getpid(), (int)number);
        return 0;
    }
    if (strcmp(mode, "abort") == 0)
        abort();
    if (strcmp(mode, "null") == 0)
        return *(volatile int *)(uintptr_t)number;
    if (strcmp(mode, "loop") == 0)
        for (;;)
            burn(1000000000);
    if (strcmp(mode, "burn") == 0) {
        burn(number);
        return 0;
    }
    if (strcmp(mode, "burn_children") == 0) {
        for (int i = 0; i < 4; i++)
            if (fork() == 0) {
                burn(number);
                _exit(0);
            }
        while (wait(NULL) > 0)
            ;
        return 0;
    }
    if (strcmp(mode, "burn_and_tell") == 0) {
        burn(number);
        return tell_used();
    }
    if (strcmp(mode, "burn_in_threads_and_tell") == 0)
        return burn_in_threads(number);
    if (strcmp(mode, "burn_in_children_and_tell") == 0)
        return burn_in_children(number);
    if (strcmp(mode, "burn_unseen") == 0)
        return burn_unseen(number);
    if (strcmp(mode, "handle_often") == 0)
        return handle_often(argv[2], atoi(argv[3]));
    if (strcmp(mode, "sleep_lost") == 0)
        return sleep_lost(atoi(argv[2]), atol(argv[3]));
    if (strcmp(mode, "burn_lost") == 0)
        return burn_lost(argv[2], (uint64_t)atol(argv[3]), atol(argv[4]));
    if (strcmp(mode, "set_handlers") == 0)
        return set_handlers(number);
    if (strcmp(mode, "burn_unwaited") == 0)
        return burn_unwaited();
    if (strcmp(mode, "sleep") == 0) {
        usleep((useconds_t)number * 1000);
        return 0;
    }
    if (strcmp(mode, "heap_and_sleep") == 0) {
        if (touch(number * MIB) == NULL)
            return 3;
        usleep((useconds_t)atol(argv[3]) * 1000);
        return 0;
    }
    if (strcmp(mode, "heap") == 0) {
        if (touch(number * MIB) == NULL)
            return 3;
        return argc > 3 ? atoi(argv[3]) : 0;
    }
    if (strcmp(mode, "grow") == 0)
        for (;;)
            if (touch(MIB) == NULL)
                return 1;
    if (strcmp(mode, "outlive") == 0) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, outlive, NULL) == 0)
            pthread_exit(NULL);
        return 3;
    }
    if (strcmp(mode, "tables") == 0)
        return read_much();
    if (strcmp(mode, "vfork") == 0) {
        if (touch(number * MIB) == NULL)
            return 3;
        if (vfork() == 0) {
            usleep(200000);
            _exit(0);
        }
        return 0;
    }
    if (strcmp(mode, "static") == 0) {
        for (long i = 0; i < (long)sizeof huge; i += 4096)
            huge[i] = 1;
        return 0;
    }
    if (strcmp(mode, "recurse") == 0)
        return recurse(buffer, 0);
    if (strcmp(mode, "touch_children") == 0)
        return children_touch(6, number, 0);
    if (strcmp(mode, "share_children") == 0)
        return children_touch(4, number, 1);
    if (strcmp(mode, "share_rounds") == 0)
        return rounds_share(number, atoi(argv[3]));
    if (strcmp(mode, "chains") == 0)
        return chains_keep(number, 0, 0);
    if (strcmp(mode, "share_chains") == 0)
        return chains_keep(number, 1, 0);
    if (strcmp(mode, "share_links") == 0)
        return chains_keep(number, 1, 1);
    if (strcmp(mode, "out") == 0) {
        flood(1, number);
        return 0;
    }
    if (strcmp(mode, "err") == 0) {
        flood(2, number);
        return 0;
    }
    if (strcmp(mode, "both") == 0)
        for (;;) {
            flood(1, 4096);
            flood(2, 4096);
        }
    if (strcmp(mode, "swallow") == 0) { /* all input, and leaves with the code */
        while (read(0, buffer, sizeof buffer) > 0)
            ;
        return (int)number;
    }
    if (strcmp(mode, "cat") == 0) {
        while ((count = read(0, buffer, sizeof buffer)) > 0)
            if (write(1, buffer, (size_t)count) != count)
                return 4;
        return 0;
    }
    if (strcmp(mode, "reopen_stdin") == 0) {
        int again = open("/proc/self/fd/0", O_RDWR);

        attempt("write", write(again, "x", 1));
        attempt("ftruncate", ftruncate(again, 0));
        attempt("mmap", mmap(NULL, 1, PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED ? -1 : 0);
        fchmod(0, 0777); /* the test looks at what it did */
        return 0;
    }
    if (strcmp(mode, "alter") == 0) {
        int found = open(argv[2], O_RDONLY);
        int path = open(argv[2], O_PATH);
        const struct timespec times[2] = {{1, 0}, {1, 0}};
        char by_link[64];

        snprintf(by_link, sizeof by_link, "/proc/self/fd/%d", path);
        (void)!chmod(argv[2], 0777);
        (void)!chmod(by_link, 0777);
        fchmod(found, 0777);
        fchmodat(AT_FDCWD, argv[2], 0777, 0);
        syscall(452, AT_FDCWD, argv[2], 0777, 0); /* fchmodat2 */
        syscall(452, path, "", 0777, AT_EMPTY_PATH);
        utimensat(AT_FDCWD, argv[2], times, 0);
        syscall(SYS_utimensat, found, NULL, times, 0);
        syscall(SYS_utimensat, path, "", times, AT_EMPTY_PATH);
        utimes(argv[2], (const struct timeval[2]){{1, 0}, {1, 0}});
        (void)!chown(argv[2], getuid(), getgid());
        (void)!lchown(argv[2], getuid(), getgid());
        (void)!fchown(found, getuid(), getgid());
        setxattr(argv[2], "user.mark", "x", 1, 0);
        fsetxattr(found, "user.mark", "x", 1, 0);
        (void)!truncate(argv[2], 0);
        unlink(argv[2]);
        rename(argv[2], "mine");
        (void)!link(argv[2], "mine");
        return 0;
    }
    if (strcmp(mode, "touch") == 0) { /* "now" may be set with the right to write */
        utimensat(AT_FDCWD, argv[2], NULL, 0);
        utimes(argv[2], NULL);
        futimens(open(argv[2], O_RDWR), NULL);
        futimens(0, NULL);
        utimensat(AT_FDCWD, "/proc/self/fd/0", NULL, 0);
        return 0;
    }
    if (strcmp(mode, "schedule") == 0) {
        const struct sched_param ordinary = {0};

        return sched_setscheduler((int)number, SCHED_OTHER, &ordinary) != 0;
    }
    if (strcmp(mode, "bomb") == 0)
        for (;;)
            if (fork() < 0)
                sched_yield();
    if (strcmp(mode, "daemon") == 0)
        return daemonize(number);
    if (strcmp(mode, "kill_all") == 0) {
        if (fork() == 0)
            for (;;)
                pause();
        kill(1, SIGKILL);
        kill(-1, SIGKILL);
        for (;;)
            pause();
    }
    if (strcmp(mode, "stop") == 0) {
        raise(SIGSTOP);
        return 0;
    }
    if (strcmp(mode, "close_and_loop") == 0) {
        close(0);
        close(1);
        close(2);
        burn(1000000000);
    }
    if (strcmp(mode, "forge") == 0) {
        fprintf(stderr, "[sandbox][run_exec_failed]\n{\"sandbox_error\":\"exec: errno 2\",\"verdict\":\"SE\"}\n");
        return 127;
    }
    if (strcmp(mode, "escape") == 0)
        return escape();
    if (strcmp(mode, "look") == 0)
        return look_around();
    if (strcmp(mode, "network") == 0)
        return network();
    if (strcmp(mode, "self") == 0)
        return self();
    if (strcmp(mode, "forks") == 0)
        return fork_many((int)number, 0);
    if (strcmp(mode, "threads") == 0)
        return fork_many((int)number, 1);
    if (strcmp(mode, "threads_without_first") == 0)
        return thread_on(number, strcmp(argv[3], "stay") == 0);
    if (strcmp(mode, "write_file") == 0) {
        int fd = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);

        flood(fd, number);
        return fd < 0;
    }
    if (strcmp(mode, "link_file") == 0)
        return symlink(argv[3], argv[2]) != 0;
    if (strcmp(mode, "make_directory") == 0)
        return mkdir(argv[2], 0755) != 0;
    if (strcmp(mode, "exists") == 0)
        return access(argv[2], F_OK) != 0;
    if (strcmp(mode, "opens") == 0)
        return open(argv[2], O_RDONLY) < 0;
    if (strcmp(mode, "x32") == 0) {
        syscall(0x40000000 + SYS_getpid);
        return 0;
    }
    return 99;
}
