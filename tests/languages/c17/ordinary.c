/* What ordinary C programs do. Each mode prints "done" at its end, after what it found. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("line %d: %s: %m\n", __LINE__, #what);                                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

extern char **environ;

/* -- memory */

static void growth(void) {
    char *memory = NULL;

    for (size_t size = 1 << 16; size <= (24U << 20); size += 1 << 18) {
        memory = realloc(memory, size);
        CHECK(memory != NULL);
        memory[size - 1] = 1;
    }
    free(memory);
}

static int compare(const void *left, const void *right) {
    int a = *(const int *)left;
    int b = *(const int *)right;

    return (a > b) - (a < b);
}

static void sorting(void) {
    const int count = 1000000;
    int *numbers = malloc((size_t)count * sizeof *numbers);

    srand(1);
    for (int i = 0; i < count; i++)
        numbers[i] = rand();
    qsort(numbers, (size_t)count, sizeof *numbers, compare);
    for (int i = 1; i < count; i++)
        CHECK(numbers[i - 1] <= numbers[i]);
    free(numbers);
}

static long depth(long n) {
    volatile char frame[64];

    frame[0] = (char)n;
    return n == 0 ? 0 : 1 + depth(n - 1) + frame[0] * 0;
}

static void recursion(void) { CHECK(depth(200000) == 200000); }

static void mapped_file(void) {
    int fd = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    char *memory;

    CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
    memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    strcpy(memory, "written through memory");
    CHECK(msync(memory, 1 << 20, MS_SYNC) == 0 && munmap(memory, 1 << 20) == 0);
    memory = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(memory != MAP_FAILED && strcmp(memory, "written through memory") == 0);
}

static void made_code(void) {
#if defined(__x86_64__)
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
#else
    static const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6}; /* mov w0, 42; ret */
#endif
    unsigned char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED);
    memcpy(memory, code, sizeof code);
    __builtin___clear_cache((char *)memory, (char *)memory + sizeof code);
    CHECK(mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0);
    CHECK(((int (*)(void))(uintptr_t)memory)() == 42);
}

static void memory_shared_by_name(void) {
    int fd = shm_open("/shared", O_RDWR | O_CREAT, 0600);
    int *shared;

    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(shared != MAP_FAILED);
    if (fork() == 0) {
        *shared = 7;
        _exit(0);
    }
    CHECK(wait(NULL) > 0 && *shared == 7 && shm_unlink("/shared") == 0);
}

/* -- time */

static void naps(void) {
    struct timespec shortly = {0, 5000000};

    CHECK(nanosleep(&shortly, NULL) == 0 && usleep(1000) == 0 && poll(NULL, 0, 1) == 0);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &shortly, NULL) == 0);
    CHECK(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}) == 0);
}

static void clocks(void) {
    struct timespec now;
    struct timeval day;
    struct rusage usage;
    struct tms ticks;
    static const clockid_t all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                    CLOCK_BOOTTIME};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(clock_gettime(all[i], &now) == 0 && clock_getres(all[i], &now) == 0);
    CHECK(gettimeofday(&day, NULL) == 0 && time(NULL) > 1000000000 && clock() >= 0);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && times(&ticks) != (clock_t)-1);
    CHECK(localtime(&day.tv_sec) != NULL);
}

static volatile sig_atomic_t rang;
static void ring(int number) { rang = number; }

static void alarms(void) {
    struct itimerval soon = {{0, 0}, {0, 5000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec once = {{0, 0}, {0, 5000000}};
    uint64_t count;
    timer_t timer;
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGALRM, ring);
    signal(SIGUSR1, ring);
    sigemptyset(&set);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    while (rang != SIGALRM)
        sigsuspend(&set);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &once, NULL) == 0);
    while (rang != SIGUSR1)
        sigsuspend(&set);
    CHECK(timer_delete(timer) == 0 && alarm(100) == 0 && alarm(0) > 0);
    fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &once, NULL) == 0 && read(fd, &count, 8) == 8 && count == 1);
}

/* -- signals and jumps */

static sigjmp_buf back;
static void jump(int number) { siglongjmp(back, number); }

static void jumps(void) {
    jmp_buf here;
    volatile int times_through = 0;

    if (setjmp(here) < 3) {
        times_through++;
        longjmp(here, times_through);
    }
    CHECK(times_through == 3);
    signal(SIGFPE, jump);
    signal(SIGSEGV, jump);
    if (sigsetjmp(back, 1) == 0)
        raise(SIGFPE);
    if (sigsetjmp(back, 1) == 0)
        *(volatile int *)(uintptr_t)(getpid() * 0) = 1;
}

static char other_stack[65536];

static void endless(int n) {
    volatile char frame[1024];

    frame[0] = (char)n;
    endless(n + 1);
    frame[1] = frame[0];
}

/* A stack that ran over, caught on another: Java and OCaml do it. */
static void overflow(void) {
    struct sigaction action = {.sa_handler = jump, .sa_flags = SA_ONSTACK};
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = 1 << 20;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
    CHECK(sigaltstack(&(stack_t){.ss_sp = other_stack, .ss_size = sizeof other_stack}, NULL) == 0);
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    if (sigsetjmp(back, 1) == 0)
        endless(0);
}

static void queued(void) {
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}) == 0);
    CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 5);
    CHECK(pthread_kill(pthread_self(), 0) == 0);
}

/* -- processes */

static void children(void) {
    char *words[] = {"sh", "-c", "exit 3", NULL};
    char line[16] = "";
    int status;
    pid_t pid;
    FILE *pipe;

    CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, words, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
    CHECK(WEXITSTATUS(system("exit 4")) == 4);
    pipe = popen("echo heard", "r");
    CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && pclose(pipe) == 0);
    CHECK(strcmp(line, "heard\n") == 0);
    pid = vfork();
    if (pid == 0) {
        execve("/bin/sh", words, environ);
        _exit(127);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
}

static void semaphores(void) {
    sem_t *named = sem_open("/named", O_CREAT | O_EXCL, 0600, 0);
    sem_t own;

    CHECK(named != SEM_FAILED);
    if (fork() == 0) {
        sem_post(named);
        _exit(0);
    }
    CHECK(sem_wait(named) == 0 && sem_close(named) == 0 && sem_unlink("/named") == 0 && wait(NULL) > 0);
    CHECK(sem_init(&own, 0, 1) == 0 && sem_wait(&own) == 0 && sem_destroy(&own) == 0);
}

static void sockets(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    int pair[2];
    char byte;
    int accepted;

    CHECK(bind(server, (struct sockaddr *)&name, sizeof name) == 0 && listen(server, 1) == 0);
    CHECK(connect(client, (struct sockaddr *)&name, sizeof name) == 0);
    accepted = accept(server, NULL, NULL);
    CHECK(accepted >= 0 && send(client, "a", 1, 0) == 1 && recv(accepted, &byte, 1, 0) == 1 && byte == 'a');
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[0], "b", 1) == 1 && read(pair[1], &byte, 1) == 1);
}

static void events(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(0);
    int bell = eventfd(1, 0);

    CHECK(epoll_ctl(set, EPOLL_CTL_ADD, bell, &event) == 0 && epoll_wait(set, &event, 1, 30000) == 1);
}

/* -- threads */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int counted;
static _Thread_local int own;

static void *worker(void *barrier) {
    pthread_barrier_wait(barrier);
    own++;
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        counted += own;
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int simple(void *unused) {
    (void)unused;
    return 9;
}

static void many_threads(void) {
    pthread_barrier_t barrier;
    pthread_t team[8];
    pthread_attr_t attributes;
    cpu_set_t cpus;
    thrd_t standard;
    int result;

    CHECK(sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) > 0);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) > 0);
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 16 << 20) == 0);
    pthread_barrier_init(&barrier, NULL, 8);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_create(&team[i], &attributes, worker, &barrier) == 0);
    pthread_mutex_lock(&lock);
    while (counted < 8000)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(team[i], NULL) == 0);
    CHECK(thrd_create(&standard, simple, NULL) == thrd_success && thrd_join(standard, &result) == thrd_success);
    CHECK(result == 9);
}

/* -- files, and the world */

static void files(void) {
    char name[] = "fileXXXXXX";
    char path[4096];
    struct stat status;
    FILE *stream = tmpfile();
    DIR *list;
    int found = 0;
    int fd = mkstemp(name);

    CHECK(stream != NULL && fputs("kept", stream) >= 0 && fseek(stream, 0, SEEK_SET) == 0 && fgetc(stream) == 'k');
    CHECK(fd >= 0 && pwrite(fd, "abc", 3, 1) == 3 && fsync(fd) == 0 && flock(fd, LOCK_EX) == 0 && fchmod(fd, 0640) == 0);
    CHECK(stat(name, &status) == 0 && status.st_size == 4 && (status.st_mode & 0777) == 0640);
    CHECK(chmod(name, 0600) == 0 && utime(name, NULL) == 0 && futimens(fd, NULL) == 0);
    CHECK(mkdir("directory", 0755) == 0 && chdir("directory") == 0 && rename("../directory", "../moved") == 0);
    CHECK(getcwd(path, sizeof path) != NULL && strcmp(path, "/w/moved") == 0 && chdir("..") == 0);
    list = opendir(".");
    CHECK(list != NULL);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        found += strcmp(entry->d_name, name) == 0;
    CHECK(found == 1 && closedir(list) == 0 && unlink(name) == 0 && rmdir("moved") == 0 && access(name, F_OK) != 0);
}

static void large_output(void) {
    static char block[1 << 20];
    struct iovec parts[] = {{block, sizeof block / 2}, {block + sizeof block / 2, sizeof block / 2}};
    int fd = open("/dev/null", O_WRONLY);

    memset(block, 'x', sizeof block);
    CHECK(writev(fd, parts, 2) == (ssize_t)sizeof block);
    fd = dup(1);
    CHECK(fd > 2 && dup2(fd, 60) == 60 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && !isatty(1));
    for (int i = 0; i < 4; i++)
        printf("%.65536s", block);
    puts("");
}

static void world(void) {
    char bytes[32];
    void *frames[8];

    CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes && getentropy(bytes, sizeof bytes) == 0);
    CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL && strcmp(setlocale(LC_ALL, NULL), "C.UTF-8") == 0);
    CHECK(fopen("/dev/urandom", "r") != NULL && fopen("/proc/self/status", "r") != NULL);
    CHECK(dlopen("libm.so.6", RTLD_NOW) != NULL && backtrace(frames, 8) > 0);
    CHECK(getpid() > 1 && getppid() >= 0 && getuid() != 0 && getpriority(PRIO_PROCESS, 0) >= 0);
}

/* The first word of the input says which. */
int main(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
        {"growth", growth},         {"sorting", sorting},
        {"recursion", recursion},   {"mapped_file", mapped_file},
        {"made_code", made_code},   {"memory_shared_by_name", memory_shared_by_name},
        {"naps", naps},             {"clocks", clocks},
        {"alarms", alarms},         {"jumps", jumps},
        {"overflow", overflow},     {"queued", queued},
        {"children", children},     {"semaphores", semaphores},
        {"sockets", sockets},       {"events", events},
        {"threads", many_threads},  {"files", files},
        {"large_output", large_output}, {"world", world},
    };

    char mode[32] = "";

    CHECK(scanf("%31s", mode) == 1);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(mode, modes[i].name) == 0) {
            modes[i].run();
            puts("done");
            return 0;
        }
    return 98;
}
