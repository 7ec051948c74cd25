/* One end of a covert channel: `covert send|feel CHANNEL FILE START_NS SYMBOL_US BITS COUNT`.
 *
 * The sender does something, or nothing, for each bit; the receiver prints a number for each. tests/covert_channels.py
 * decides from the numbers whether bits came through. START_NS is a reading of CLOCK_REALTIME, by which both ends of a
 * simultaneous channel keep step; 0: the channel is used by one end after the other. BITS are the sender's, as 0 and 1;
 * COUNT is how many the receiver expects. FILE is a large file that both can read.
 *
 * A receiver ends with code 3 if the system refuses what the channel needs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLOSED = 3, PAGE = 4096, MIB = 1 << 20, HELPERS = 4, PIPE_HELPERS = 18 };

static const char *file;
static int64_t start_ns, symbol_ns;

static int64_t now(clockid_t clock) {
    struct timespec at;

    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};

    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}

static void closed(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(CLOSED);
}

static int opened(void) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        closed("open");
    return fd;
}

/* -- one after the other: `mark` leaves something for bit n if it is 1, `find` looks for it */

static double took_ns(int (*call)(int), int n) {
    int64_t before = now(CLOCK_MONOTONIC);

    (void)call(n);
    return (double)(now(CLOCK_MONOTONIC) - before);
}

static int look_up(int n) {
    char path[4096];

    /* the directory of the file is one that all runs share; BITS' place in time makes names of no earlier round */
    snprintf(path, sizeof path, "%s-covert-%lld-%d", file, (long long)symbol_ns, n);
    return access(path, F_OK);
}

static void dentry_mark(int n) {
    for (int k = 0; k < 3; k++)
        (void)look_up(n);
}

static double dentry_find(int n) {
    return took_ns(look_up, n);
}

static int cached_file(void) {
    static int fd = -1;

    if (fd < 0) {
        fd = opened();
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    }
    return fd;
}

static int read_page(int n) {
    char byte;

    return (int)pread(cached_file(), &byte, 1, (off_t)n * 16 * PAGE);
}

static void pages_mark(int n) {
    (void)read_page(n);
}

static double pages_find(int n) {
    return took_ns(read_page, n);
}

static void pages_begin(void) {
    (void)posix_fadvise(cached_file(), 0, 0, POSIX_FADV_DONTNEED);
}

static const char *const scratches[] = {"/w", "/tmp", "/dev/shm", "/var/tmp", "/run", "/", "/usr", "/p", "."};

static void files_mark(int n) {
    char path[64];

    for (size_t k = 0; k < sizeof scratches / sizeof *scratches; k++) {
        int fd = (snprintf(path, sizeof path, "%s/covert-%d", scratches[k], n), open(path, O_CREAT | O_WRONLY, 0666));
        if (fd >= 0)
            close(fd);
    }
}

static double files_find(int n) {
    char path[64];
    int count = 0;

    for (size_t k = 0; k < sizeof scratches / sizeof *scratches; k++) {
        snprintf(path, sizeof path, "%s/covert-%d", scratches[k], n);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void atime_mark(int n) {
    (void)read_page(n);
}

static double atime_find(int n) {
    struct stat st;

    (void)n;
    return fstat(cached_file(), &st) == 0 ? (double)st.st_atim.tv_sec + (double)st.st_atim.tv_nsec / 1e9 : 0;
}

static void sysv_mark(int n) {
    (void)msgget(0x7a710000 + n, IPC_CREAT | 0666);
}

static double sysv_find(int n) {
    if (msgget(0x7a710000 + n, 0) >= 0)
        return 1;
    if (errno == EPERM || errno == ENOSYS)
        closed("msgget");
    return 0;
}

static void mq_mark(int n) {
    char name[32];

    snprintf(name, sizeof name, "covert-%d", n);
    (void)syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0666, NULL);
}

static double mq_find(int n) {
    char name[32];

    snprintf(name, sizeof name, "covert-%d", n);
    if (syscall(SYS_mq_open, name, O_RDONLY, 0, NULL) >= 0)
        return 1;
    if (errno == EPERM || errno == ENOSYS)
        closed("mq_open");
    return 0;
}

/* -- at the same time: `hold` does it until a moment, `feel` measures until a moment */

static void flock_hold(int64_t until_ns) {
    int fd = opened();

    (void)flock(fd, LOCK_EX);
    sleep_until(until_ns);
    close(fd);
}

static double flock_feel(int64_t until_ns) {
    int fd = opened(), is_held = flock(fd, LOCK_EX | LOCK_NB) != 0;

    (void)until_ns;
    close(fd);
    return is_held;
}

static void record_hold(int64_t until_ns) {
    int fd = opened();
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};

    (void)fcntl(fd, F_SETLK, &lock);
    sleep_until(until_ns);
    close(fd);
}

static double record_feel(int64_t until_ns) {
    int fd = opened();
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    (void)until_ns;
    if (fcntl(fd, F_GETLK, &lock) != 0)
        closed("F_GETLK");
    close(fd);
    return lock.l_type != F_UNLCK;
}

static uint32_t *shared_word(void) {
    static void *page;

    if (page == NULL) {
        page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, opened(), 0);
        if (page == MAP_FAILED)
            closed("mmap");
    }
    return page;
}

static void futex_hold(int64_t until_ns) {
    uint32_t *word = shared_word();

    for (int64_t left; (left = until_ns - now(CLOCK_REALTIME)) > 0;) {
        struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        if (syscall(SYS_futex, word, FUTEX_WAIT, *word, &wait, NULL, 0) != 0 && errno != ETIMEDOUT && errno != EINTR)
            sleep_until(until_ns);
    }
}

static double futex_feel(int64_t until_ns) {
    long woken = syscall(SYS_futex, shared_word(), FUTEX_WAKE, 1, NULL, NULL, 0);

    (void)until_ns;
    if (woken < 0)
        closed("futex");
    return (double)woken;
}

static void abstract_address(struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(address->sun_path + 1, "covert");
}

static void abstract_hold(int64_t until_ns) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    abstract_address(&address);
    (void)bind(fd, (struct sockaddr *)&address, sizeof address);
    sleep_until(until_ns);
    close(fd);
}

static double abstract_feel(int64_t until_ns) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0), is_there;

    (void)until_ns;
    if (fd < 0)
        closed("socket");
    abstract_address(&address);
    is_there = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_there;
}

static double ports_feel(int64_t until_ns) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)until_ns;
    if (fd < 0)
        closed("socket");
    close(fd);
    return 0;
}

static void pids_hold(int64_t until_ns) {
    while (now(CLOCK_REALTIME) < until_ns) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        (void)waitpid(child, NULL, 0);
    }
}

static double pids_feel(int64_t until_ns) {
    static pid_t last;
    pid_t child = (sleep_until(until_ns), fork()), grown;

    if (child == 0)
        _exit(0);
    if (child < 0)
        closed("fork");
    (void)waitpid(child, NULL, 0);
    grown = child - last;
    last = child;
    return grown;
}

static void inodes_hold(int64_t until_ns) {
    int ends[2];

    while (now(CLOCK_REALTIME) < until_ns)
        if (pipe(ends) == 0) {
            close(ends[0]);
            close(ends[1]);
        }
}

static double inodes_feel(int64_t until_ns) {
    static ino_t least;
    ino_t lowest = 0;

    /* numbers are handed to CPUs in lots: the least of many tells how far the counter is */
    sleep_until(until_ns);
    for (int k = 0; k < 2048; k++) {
        int ends[2];
        struct stat st;
        if (pipe(ends) != 0)
            closed("pipe");
        if (fstat(ends[0], &st) == 0 && st.st_ino > lowest)
            lowest = st.st_ino;
        close(ends[0]);
        close(ends[1]);
    }
    double grown = (double)(lowest - least);
    least = lowest;
    return grown;
}

static void memory_hold(int64_t until_ns) {
    enum { BYTES = 24 * MIB };
    char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p != MAP_FAILED)
        memset(p, 1, BYTES);
    sleep_until(until_ns);
    if (p != MAP_FAILED)
        munmap(p, BYTES);
}

static double memory_feel(int64_t until_ns) {
    struct sysinfo info;

    sleep_until(until_ns);
    if (sysinfo(&info) != 0)
        closed("sysinfo");
    return (double)info.freeram * info.mem_unit;
}

static void processes_hold(int64_t until_ns) {
    pid_t children[HELPERS];

    for (int k = 0; k < HELPERS; k++)
        if ((children[k] = fork()) == 0) {
            sleep_until(until_ns);
            _exit(0);
        }
    sleep_until(until_ns);
    for (int k = 0; k < HELPERS; k++)
        (void)waitpid(children[k], NULL, 0);
}

static double processes_feel(int64_t until_ns) {
    struct sysinfo info;

    (void)until_ns;
    if (sysinfo(&info) != 0)
        closed("sysinfo");
    return info.procs;
}

/* how many processes the host has started */
static double stat_feel(int64_t until_ns) {
    static double last;
    static char text[1 << 16];
    const char *line;
    ssize_t got;
    double grown;
    int fd;

    sleep_until(until_ns);
    fd = open("/proc/stat", O_RDONLY);
    if (fd < 0)
        closed("/proc/stat");
    got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    line = strstr(text, "\nprocesses ");
    if (line == NULL)
        closed("/proc/stat");
    grown = atof(line + strlen("\nprocesses ")) - last;
    last += grown;
    return grown;
}

static void spin(int64_t until_ns) {
    while (now(CLOCK_REALTIME) < until_ns) {
    }
}

static void cpu_hold(int64_t until_ns) {
    pid_t children[HELPERS];

    for (int k = 0; k < HELPERS; k++)
        if ((children[k] = fork()) == 0) {
            spin(until_ns);
            _exit(0);
        }
    spin(until_ns);
    for (int k = 0; k < HELPERS; k++)
        (void)waitpid(children[k], NULL, 0);
}

static double cpu_feel(int64_t until_ns) {
    double turns = 0;

    while (now(CLOCK_REALTIME) < until_ns)
        turns++;
    return turns;
}

static double timers_feel(int64_t until_ns) {
    double late = 0;

    while (now(CLOCK_REALTIME) < until_ns) {
        int64_t at = now(CLOCK_REALTIME) + 200000;
        sleep_until(at);
        late += (double)(now(CLOCK_REALTIME) - at);
    }
    return late;
}

/* The kernel gives small pipes to a user who has many. */
static void pipe_size_hold(int64_t until_ns) {
    pid_t children[PIPE_HELPERS];
    int ends[2];

    for (int k = 0; k < PIPE_HELPERS; k++)
        if ((children[k] = fork()) == 0) {
            while (pipe(ends) == 0)
                close(ends[1]);
            sleep_until(until_ns);
            _exit(0);
        }
    for (int k = 0; k < PIPE_HELPERS; k++)
        (void)waitpid(children[k], NULL, 0);
}

static double pipe_size_feel(int64_t until_ns) {
    double least = 1 << 30;
    int ends[2];

    while (now(CLOCK_REALTIME) < until_ns) {
        double size;

        if (pipe(ends) != 0)
            closed("pipe");
        size = fcntl(ends[0], F_GETPIPE_SZ);
        least = size < least ? size : least;
        close(ends[0]);
        close(ends[1]);
        sleep_until(now(CLOCK_REALTIME) + 1000000);
    }
    return least;
}

static char *buffer(void) {
    static char *p;

    if (p == NULL && (p = malloc(24 * MIB)) != NULL)
        memset(p, 1, 24 * MIB);
    return p;
}

static void bandwidth_hold(int64_t until_ns) {
    char *p = buffer();

    while (p != NULL && now(CLOCK_REALTIME) < until_ns)
        memset(p, 2, 24 * MIB);
}

static double bandwidth_feel(int64_t until_ns) {
    char *p = buffer();
    double turns = 0;

    while (p != NULL && now(CLOCK_REALTIME) < until_ns) {
        for (size_t at = 0; at < 4 * MIB; at += 64)
            p[at]++;
        turns++;
    }
    return turns;
}

struct channel {
    const char *name;
    void (*begin)(void);
    void (*mark)(int);
    double (*find)(int);
    void (*hold)(int64_t);
    double (*feel)(int64_t);
};

static const struct channel channels[] = {
    {"dentries", .mark = dentry_mark, .find = dentry_find},
    {"pages", .begin = pages_begin, .mark = pages_mark, .find = pages_find},
    {"files", .mark = files_mark, .find = files_find},
    {"atime", .mark = atime_mark, .find = atime_find},
    {"sysv", .mark = sysv_mark, .find = sysv_find},
    {"mqueue", .mark = mq_mark, .find = mq_find},
    {"flock", .hold = flock_hold, .feel = flock_feel},
    {"record-locks", .hold = record_hold, .feel = record_feel},
    {"futex", .hold = futex_hold, .feel = futex_feel},
    {"abstract", .hold = abstract_hold, .feel = abstract_feel},
    {"ports", .hold = sleep_until, .feel = ports_feel},
    {"pids", .hold = pids_hold, .feel = pids_feel},
    {"pipe-size", .hold = pipe_size_hold, .feel = pipe_size_feel},
    {"inodes", .hold = inodes_hold, .feel = inodes_feel},
    {"memory", .hold = memory_hold, .feel = memory_feel},
    {"processes", .hold = processes_hold, .feel = processes_feel},
    {"proc-stat", .hold = pids_hold, .feel = stat_feel},
    {"timers", .hold = cpu_hold, .feel = timers_feel},
    {"cpu", .hold = cpu_hold, .feel = cpu_feel},
    {"bandwidth", .hold = bandwidth_hold, .feel = bandwidth_feel},
};

static void send_bits(const struct channel *c, const char *bits) {
    if (c->begin != NULL)
        c->begin();
    for (int n = 0; bits[n] != 0; n++) {
        int64_t from = start_ns + n * symbol_ns;
        if (c->mark != NULL) {
            if (bits[n] == '1')
                c->mark(n);
            continue;
        }
        sleep_until(from);
        if (bits[n] == '1')
            c->hold(from + symbol_ns * 7 / 8);
    }
}

static void feel_bits(const struct channel *c, int count) {
    if (c->feel != NULL)
        (void)c->feel(start_ns - symbol_ns / 2); /* what it counts from */
    for (int n = 0; n < count; n++) {
        int64_t from = start_ns + n * symbol_ns;
        if (c->feel != NULL)
            sleep_until(from + symbol_ns * 3 / 8);
        printf("%.9g\n", c->find != NULL ? c->find(n) : c->feel(from + symbol_ns * 6 / 8));
    }
}

int main(int argc, char **argv) {
    if (argc != 8)
        return 2;
    file = argv[3];
    start_ns = atoll(argv[4]);
    symbol_ns = atoll(argv[5]) * 1000;
    for (size_t k = 0; k < sizeof channels / sizeof *channels; k++)
        if (strcmp(channels[k].name, argv[2]) == 0) {
            if (strcmp(argv[1], "send") == 0)
                send_bits(&channels[k], argv[6]);
            else
                feel_bits(&channels[k], atoi(argv[7]));
            return 0;
        }
    return 2;
}
