/* Too much of everything: processes, threads, memory, output, descriptors. */
#include "hostile.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

/* ---- processes --------------------------------------------------------------------------------------------------- */

DEED(forks) {
    while (fork() >= 0 || sched_yield() == 0)
        ;
    return 3;
}

DEED(fork_sessions) { /* each in a session of its own, deaf to all that can be ignored */
    for (int number = 1; number < 65; number++)
        signal(number, SIG_IGN);
    while (fork() != 0 || setsid() != -2)
        ;
    return 3;
}

DEED(fork_exec) {
    while (fork() != 0 || execl(program_invocation_name, program_invocation_name, "fork_exec", (char *)NULL) != 0)
        ;
    return 3;
}

/* Each process dies after its fork: the process to kill is never the one that was just seen. The first one has ended at once. */
DEED(comet) {
    for (;;)
        if (fork() > 0)
            _exit(0);
}

DEED(comets) {
    for (int i = 0; i < 8; i++)
        if (fork() == 0)
            comet(0, NULL);
    return 0;
}

DEED(vforks) { /* a chain in which every process but the last sleeps uninterruptibly */
    volatile int depth = 0;

    while (vfork() == 0)
        depth++;
    if (depth > 0)
        sleep_forever();
    return 3;
}

static void *spinner(void *unused) {
    (void)unused;
    spin();
}

DEED(threads) {
    for (;;) {
        pthread_t thread;
        pthread_attr_t attributes;

        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        if (pthread_create(&thread, &attributes, spinner, NULL) != 0)
            spin();
    }
}

static void *forker(void *unused) {
    while (fork() >= 0 || sched_yield() == 0)
        ;
    return unused;
}

DEED(forking_threads) {
    pthread_t thread;

    for (int i = 0; i < 4; i++)
        pthread_create(&thread, NULL, forker, NULL);
    spin();
}

DEED(zombies) {
    for (int i = 0; i < 3000; i++)
        if (fork() == 0)
            _exit(0);
    return 0;
}

DEED(execs) {
    execl(program_invocation_name, program_invocation_name, "execs", (char *)NULL);
    return 3;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

DEED(heap) {
    for (;;) {
        char *memory = malloc(65536);

        if (memory == NULL)
            return 3;
        memset(memory, 1, 65536);
    }
}

DEED(mmaps) {
    take_all();
    return 3;
}

DEED(populate) {
    while (mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) !=
           MAP_FAILED)
        ;
    return 3;
}

DEED(breaks) {
    for (;;) {
        char *memory = sbrk(MIB);

        if (memory == (void *)-1)
            return 3;
        memset(memory, 1, MIB);
    }
}

DEED(huge_pages) {
    for (;;) {
        char *memory = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            return 3;
        madvise(memory, 64 * MIB, MADV_HUGEPAGE);
        for (long i = 0; i < 64 * MIB; i += 4096)
            memory[i] = 1;
    }
}

/* Only read: the zero page costs nothing, its tables do. */
DEED(tables) {
    const size_t bytes = 256UL << 30;
    volatile char *memory = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return 3;
    for (size_t i = 0; i < bytes; i += 2 * MIB)
        (void)memory[i];
    return 4;
}

static int deeper(volatile char *above, long depth) {
    volatile char frame[4096];

    frame[0] = above[0];
    return depth == 0 ? 0 : deeper(frame, depth - 1) + frame[0];
}

static int sparser(volatile char *above, long depth) {
    volatile char frame[65536];

    frame[0] = above[0];
    return depth == 0 ? 0 : sparser(frame, depth - 1) + frame[0];
}

DEED(stack) {
    volatile char first = 0;

    return deeper(&first, 1L << 40);
}

DEED(sparse_stack) { /* uses it up without touching it */
    volatile char first = 0;

    return sparser(&first, 1L << 40);
}

DEED(family_memory) { /* each below the limit, all together not */
    for (int i = 0; i < 8; i++)
        if (fork() == 0) {
            take(16 * MIB);
            sleep_forever();
        }
    sleep_forever();
}

DEED(undumpable_memory) {
    for (int i = 0; i < 8; i++)
        if (fork() == 0) {
            prctl(PR_SET_DUMPABLE, 0);
            take(16 * MIB);
            sleep_forever();
        }
    sleep_forever();
}

/* A name that tears a careless reader of /proc/PID/stat apart. */
DEED(disguised_memory) {
    prctl(PR_SET_NAME, ") Z 0 0\n0 0 0");
    take_all();
    return 3;
}

static void *take_and_stay(void *unused) {
    nap(20);
    take_all();
    return unused;
}

DEED(headless_memory) { /* the first thread has ended, and with it what /proc/PID/stat shows */
    pthread_t thread;

    if (pthread_create(&thread, NULL, take_and_stay, NULL) != 0)
        return 3;
    pthread_exit(NULL);
}

DEED(stopped_memory) { /* children that hold it and are stopped */
    for (int i = 0; i < 8; i++)
        if (fork() == 0) {
            take(16 * MIB);
            raise(SIGSTOP);
        }
    sleep_forever();
}

DEED(orphaned_memory) { /* held by a daemon's daemon */
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            take_all();
        }
        _exit(0);
    }
    sleep_forever();
}

DEED(vforked_memory) { /* a vfork child may be taken for its parent's twin: twice the limit at the most */
    take(30 * MIB);
    if (vfork() == 0)
        take_all();
    return 3;
}

static void fill_file(const char *path, long bytes, long *written) {
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t count;

    memset(block, 'x', sizeof block);
    *written = 0;
    while (*written < bytes && (count = write(fd, block, sizeof block)) > 0)
        *written += count;
    if (fd >= 0)
        close(fd);
}

DEED(scratch) { /* tmpfs is memory */
    long sum = 0;

    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 32; i++) {
        char name[32];
        long written;

        snprintf(name, sizeof name, "fill-%d", i);
        fill_file(name, 64 * MIB, &written);
        sum += written;
    }
    printf("mib %ld\n", sum / MIB);
    return 0;
}

DEED(scratch_mapped) { /* written through a mapping, the file's name gone */
    int fd = open("mapped", O_RDWR | O_CREAT, 0600);
    char *memory;

    signal(SIGXFSZ, SIG_IGN);
    if (ftruncate(fd, 60 * MIB) != 0)
        return 3;
    memory = mmap(NULL, 60 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unlink("mapped");
    memset(memory, 1, 60 * MIB);
    return 0;
}

DEED(pipes) { /* kernel memory, in no process's resident set */
    static char block[MIB];
    long sum = 0;
    int ends[2];

    while (pipe2(ends, O_NONBLOCK) == 0) {
        ssize_t count;

        fcntl(ends[1], F_SETPIPE_SZ, MIB);
        while ((count = write(ends[1], block, sizeof block)) > 0)
            sum += count;
    }
    printf("error %d\nmib %ld\n", errno, sum / MIB);
    return 0;
}

DEED(socket_buffers) {
    static char block[65536];
    int ends[2];

    while (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0) {
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 30}, sizeof(int));
        while (send(ends[0], block, sizeof block, 0) > 0)
            ;
        while (send(ends[0], block, 1, 0) > 0)
            ;
    }
    printf("error %d\n", errno);
    return 0;
}

static struct sockaddr_un named(const char *format, int number) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(name.sun_path, sizeof name.sun_path, format, number);
    return name;
}

/* No descriptor holds what is queued: each connection is filled, closed, and never accepted. */
DEED(queued_connections) {
    static char block[32768];

    for (int number = 0; number < 50; number++) {
        struct sockaddr_un name = named("listener-%d", number);
        int listener = socket(AF_UNIX, SOCK_STREAM, 0);

        if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 4096) != 0)
            break;
        for (int i = 0; i < 60; i++) {
            int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

            if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
                while (write(fd, block, sizeof block) > 0)
                    ;
            close(fd);
        }
    }
    printf("error %d\n", errno);
    return 0;
}

/* The same with letters: ten wait at each address, and their senders are gone. */
DEED(queued_letters) {
    static char block[200000];

    for (int number = 0; number < 50; number++) {
        struct sockaddr_un name = named("address-%d", number);

        if (bind(socket(AF_UNIX, SOCK_DGRAM, 0), (struct sockaddr *)&name, sizeof name) != 0)
            break;
        for (int i = 0; i < 12; i++) {
            int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

            sendto(fd, block, sizeof block, 0, (struct sockaddr *)&name, sizeof name);
            close(fd);
        }
    }
    printf("error %d\n", errno);
    nap(100);
    return 0;
}

static volatile pid_t vforked;
static char *reserved;
#define RESERVED (256 * MIB)

/* While the first thread waits for a vfork child that does nothing, another thread's child takes what it can. */
static void *fork_beside(void *unused) {
    (void)unused;
    nap(5);
    if (fork() == 0) {
        memset(reserved, 1, RESERVED);
        nap(60000);
        _exit(0);
    }
    nap(60000);
    kill(vforked, SIGKILL);
    return NULL;
}

DEED(beside_vfork) {
    pthread_t thread;

    signal(SIGCHLD, SIG_IGN);
    reserved = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pthread_create(&thread, NULL, fork_beside, NULL) != 0)
        return 3;
    if (vfork() == 0) {
        vforked = getpid();
        for (;;)
            pause();
    }
    return pthread_join(thread, NULL);
}

static void grow_chain(int left, size_t bytes) {
    if (left == 0 || fork() != 0)
        return;
    grow_chain(left - 1, bytes);
    memset(reserved, 1, bytes);
    nap(45); /* still young, and there for long enough that a loaded machine sees it */
    _exit(0);
}

/* Each has as much memory as the one before has, and is young. */
DEED(chain_of_the_young) {
    signal(SIGCHLD, SIG_IGN);
    reserved = mmap(NULL, 20 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int wave = 0; wave < 40; wave++) { /* a loaded machine may miss one */
        grow_chain(6, 20 * MIB);
        nap(60);
    }
    return 0;
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static char block[65536];

DEED(flood_stdout) {
    while (write(1, block, sizeof block) > 0)
        ;
    spin();
}

DEED(flood_stderr) {
    while (write(2, block, sizeof block) > 0)
        ;
    spin();
}

DEED(flood_both) {
    for (;;)
        if (write(1, block, 4096) < 0 || write(2, block, 4096) < 0)
            spin();
}

DEED(flood_reopened) {
    int fd = open("/dev/stdout", O_WRONLY);

    while (write(fd, block, sizeof block) > 0)
        ;
    spin();
}

DEED(flood_vectors) {
    struct iovec parts[1024];

    for (size_t i = 0; i < COUNT(parts); i++)
        parts[i] = (struct iovec){block, sizeof block};
    while (writev(1, parts, COUNT(parts)) > 0)
        ;
    spin();
}

DEED(flood_file) { /* the kernel itself copies */
    int fd = open(program_invocation_name, O_RDONLY);

    for (;;) {
        off_t from = 0;

        if (syscall(SYS_sendfile, 1, fd, &from, 1L << 30) < 0)
            spin();
    }
}

DEED(flood_children) {
    for (int i = 0; i < 8; i++)
        if (fork() == 0)
            flood_both(0, NULL);
    return 0;
}

DEED(drip) { /* one byte a write: a system call each, for us too */
    while (write(1, "x", 1) == 1)
        ;
    spin();
}

/* ---- descriptors, timers, signals -------------------------------------------------------------------------------- */

DEED(descriptors) {
    int most = 0;
    int made;

    while ((made = open("/dev/null", O_RDONLY)) >= 0 || (made = epoll_create1(0)) >= 0 || (made = eventfd(0, 0)) >= 0 ||
           (made = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0)
        most = made;
    printf("error %d\nmost %d\n", errno, most);
    return 0;
}

DEED(descriptors_of_many) {
    for (int i = 0; i < 15; i++)
        if (fork() == 0) {
            while (open("/usr/lib", O_RDONLY) >= 0)
                ;
            sleep_forever();
        }
    nap(50);
    return 0;
}

DEED(timers) {
    struct itimerspec often = {{0, 1000}, {0, 1000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    timer_t timer;

    signal(SIGRTMIN, SIG_IGN);
    for (int i = 0; i < 2000 && timer_create(CLOCK_REALTIME, &event, &timer) == 0; i++)
        timer_settime(timer, 0, &often, NULL);
    spin();
}

DEED(queued_signals) {
    sigset_t all;
    int queued = 0;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (queued < 1000000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}) == 0)
        queued++;
    printf("error %d\n", errno);
    return 0;
}

/* ---- what one user has once, however many runs it has: taken, and held for half a second -------------------------- */

DEED(hold_signals) {
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 100000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}) == 0; i++)
        ;
    nap(500);
    return 0;
}

DEED(hold_pipe_pages) {
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            int ends[2];

            while (pipe(ends) == 0)
                fcntl(ends[1], F_SETPIPE_SZ, MIB);
            nap(450);
            _exit(0);
        }
    nap(500);
    return 0;
}

DEED(hold_flights) { /* descriptors in flight that are never received */
    int fds[200];
    char room[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int pair[2];

    for (size_t i = 0; i < COUNT(fds); i++)
        fds[i] = 0;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(head), fds, sizeof fds);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 3;
    while (sendmsg(pair[0], &message, MSG_DONTWAIT) > 0)
        ;
    nap(500);
    return 0;
}

static const struct deed deeds[] = {
    {"forks", forks}, {"fork_sessions", fork_sessions}, {"fork_exec", fork_exec}, {"comet", comet},
    {"comets", comets}, {"vforks", vforks}, {"threads", threads}, {"forking_threads", forking_threads},
    {"zombies", zombies}, {"execs", execs}, {"heap", heap}, {"mmaps", mmaps}, {"populate", populate},
    {"breaks", breaks}, {"huge_pages", huge_pages}, {"tables", tables}, {"stack", stack},
    {"sparse_stack", sparse_stack},
    {"family_memory", family_memory}, {"undumpable_memory", undumpable_memory},
    {"disguised_memory", disguised_memory}, {"headless_memory", headless_memory},
    {"stopped_memory", stopped_memory}, {"orphaned_memory", orphaned_memory}, {"vforked_memory", vforked_memory},
    {"scratch", scratch}, {"scratch_mapped", scratch_mapped}, {"pipes", pipes}, {"socket_buffers", socket_buffers},
    {"queued_connections", queued_connections}, {"queued_letters", queued_letters},
    {"beside_vfork", beside_vfork}, {"chain_of_the_young", chain_of_the_young},
    {"flood_stdout", flood_stdout}, {"flood_stderr", flood_stderr}, {"flood_both", flood_both},
    {"flood_reopened", flood_reopened}, {"flood_vectors", flood_vectors}, {"flood_file", flood_file},
    {"flood_children", flood_children}, {"drip", drip}, {"descriptors", descriptors},
    {"descriptors_of_many", descriptors_of_many}, {"timers", timers}, {"queued_signals", queued_signals},
    {"hold_signals", hold_signals}, {"hold_pipe_pages", hold_pipe_pages}, {"hold_flights", hold_flights},
};

MAIN(deeds)
