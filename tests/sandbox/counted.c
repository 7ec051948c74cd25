/* What the kernel counts for a user: `counted take|need KIND`.
 *
 * take: PROCESSES processes take as much of a kind as they get; says "ready" when all have, and sleeps until it is ended.
 * need: what an honest program needs of it; prints what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROCESSES = 19, BYTES = 40000, SIGNALS = 700, MANY = 5000, DONE = 40, FULL_RIGHTS = 60, SETS = 18, LAST_NUMBER = 63 };

static int pass(int via, const int *fds, size_t count) {
    char room[CMSG_SPACE(FULL_RIGHTS * sizeof *fds)] = {0};
    struct iovec byte = {"x", 1};
    struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(count * sizeof *fds)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(head), fds, count * sizeof *fds);
    return sendmsg(via, &message, MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* One descriptor is enough to hold a pipe. */
static void take_pipes(void) {
    int ends[2];

    while (pipe(ends) == 0)
        close(ends[1]);
}

/* Pipes that no process has open: they wait in a socket. */
static void take_sent_pipes(void) {
    int via[2];
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, via) != 0)
        return;
    do {
        if (pipe(ends) != 0)
            break;
        close(ends[1]);
        if (pass(via[0], ends, 1) != 0)
            break;
    } while (close(ends[0]) == 0);
    take_pipes();
}

static void *take_pipes_in_a_thread(void *done) {
    if (close_range(1000, 1000, CLOSE_RANGE_UNSHARE) == 0)
        take_pipes();
    (void)!write(*(int *)done, "x", 1);
    for (;;)
        pause();
}

/* Threads of one process that have a table of descriptors each. */
static void take_thread_pipes(int *done, int count) {
    pthread_t thread;

    for (int i = 0; i < count; i++)
        if (pthread_create(&thread, NULL, take_pipes_in_a_thread, done) != 0)
            exit(3);
}

/* A process that has executed a file that it may not read keeps its descriptors from being seen. */
static void hide(const char *self) {
    static char bytes[1 << 20];
    int from = open(self, O_RDONLY);
    int to = open("hidden", O_WRONLY | O_CREAT | O_EXCL, 0111);
    ssize_t size = read(from, bytes, sizeof bytes);

    if (size <= 0 || write(to, bytes, (size_t)size) != size)
        exit(3);
    close(from);
    close(to);
}

static void take_hidden_pipes(void) {
    execl("./hidden", "hidden", "hold", "pipes", NULL);
    exit(3);
}

static void take_signals(void) {
    sigset_t set;
    int value = 0;

    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = value}) == 0)
        value++;
}

static void take_flight(void) {
    int via[2];
    int fds[FULL_RIGHTS] = {0};

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, via) == 0)
        while (pass(via[0], fds, FULL_RIGHTS) == 0) {
        }
}

/* A set watches a file once for each number that the file was added under, also when the number is closed. */
static void take_watches(void) {
    int sets[SETS];
    int files[SETS];
    struct epoll_event event = {0};

    for (int i = 0; i < SETS; i++) {
        sets[i] = epoll_create1(0);
        files[i] = eventfd(0, 0);
    }
    for (int i = 0; i < SETS; i++)
        for (int number = LAST_NUMBER; dup2(files[i], number) == number && number > files[SETS - 1] + 1; number--)
            for (int k = 0; k < SETS; k++)
                (void)epoll_ctl(sets[k], EPOLL_CTL_ADD, number, &event);
}

static void need_watches(void) {
    int set = epoll_create1(0);
    struct epoll_event event = {0};
    int added = 0;

    for (int i = 0; i < SETS; i++)
        added += epoll_ctl(set, EPOLL_CTL_ADD, eventfd(0, 0), &event) == 0;
    printf("%d\n", added);
}

static void need_pipes(void) {
    static char bytes[BYTES];
    int ends[2] = {-1, -1};
    int made = pipe2(ends, O_NONBLOCK);

    printf("%d %d\n", made, (int)write(ends[1], bytes, sizeof bytes));
}

/* One after the other, as a shell does. */
static void need_many_pipes(void) {
    int ends[2];
    int count = 0;

    for (; count < MANY && pipe(ends) == 0; count++) {
        close(ends[0]);
        close(ends[1]);
    }
    printf("%d\n", count);
}

static void need_signals(void) {
    sigset_t set;
    int count = 0;

    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (count < SIGNALS && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 0}) == 0)
        count++;
    printf("%d\n", count);
}

/* 64 KiB may be locked, and not one page more. */
static void need_locked(void) {
    static char bytes[(64 << 10) + 4096] __attribute__((aligned(4096)));

    printf("%d", mlock(bytes, 64 << 10));
    printf(" %d\n", mlock(bytes, sizeof bytes));
}

static void need_flight(void) {
    int via[2];
    int fd = 0;

    printf("%d\n", socketpair(AF_UNIX, SOCK_STREAM, 0, via) == 0 ? pass(via[0], &fd, 1) : -2);
}

static const struct {
    const char *name;
    void (*take)(void);
    void (*need)(void);
} kinds[] = {
    {"pipes", take_pipes, need_pipes},
    {"sent-pipes", take_sent_pipes, need_pipes},
    {"hidden-pipes", take_hidden_pipes, need_pipes},
    {"thread-pipes", NULL, need_pipes},
    {"many-pipes", take_pipes, need_many_pipes},
    {"signals", take_signals, need_signals},
    {"flight", take_flight, need_flight},
    {"watches", take_watches, need_watches},
    {"locked", NULL, need_locked},
};

/* Tells that we have taken all, and keeps it. */
static _Noreturn void hold(void) {
    (void)!write(DONE, "x", 1);
    for (;;)
        pause();
}

static int take(void (*worker)(void)) {
    int done[2];
    char byte;

    if (pipe(done) != 0 || dup2(done[1], DONE) != DONE)
        return 3;
    if (worker == NULL)
        take_thread_pipes(&done[1], PROCESSES);
    for (int i = 0; worker != NULL && i < PROCESSES; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return 3;
        if (pid > 0)
            continue;
        worker();
        hold();
    }
    for (int i = 0; i < PROCESSES; i++)
        if (read(done[0], &byte, 1) != 1)
            return 3;
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[2], kinds[i].name) != 0)
            continue;
        if (kinds[i].take == take_hidden_pipes && strcmp(argv[1], "take") == 0)
            hide(argv[0]);
        if (strcmp(argv[1], "take") == 0)
            return take(kinds[i].take);
        if (strcmp(argv[1], "hold") == 0) {
            take_pipes();
            hold();
        }
        kinds[i].need();
        return 0;
    }
    return 2;
}
