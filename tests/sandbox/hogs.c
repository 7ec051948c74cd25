/* Programs that take what a neighbour needs, and the neighbour: what tests/neighbours.py runs.
 *
 *     hogs work N          a fixed amount of work; prints a sum
 *     hogs KIND COUNT      COUNT workers of a kind; says "ready" when all are started, and goes on until it is ended
 *     hogs crowd COUNT     COUNT processes that burn CPU_MS each, and compete only with each other
 *     hogs mob COUNT       the same of threads
 *     hogs litter COUNT    COUNT processes that burn less than a tick each, and stay zombies while their parent burns
 *     hogs naps COUNT      sleeps so many moments; prints for how long it has run and waited, and how often it ran */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORK_WORDS (1U << 15) /* 256 KiB: what fits a core's own cache */
#define STREAM_BYTES (2U << 20)
#define FAULT_BYTES (256U << 10)
#define CPU_MS 50
#define UNDER_A_TICK_MS 9
#define LITTER_MS 400

static int work(long rounds) {
    static uint64_t words[WORK_WORDS];
    uint64_t x = 1;

    for (long round = 0; round < rounds; round++)
        for (unsigned i = 0; i < WORK_WORDS; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[x % WORK_WORDS] += x + words[i];
        }
    for (unsigned i = 0; i < WORK_WORDS; i++)
        x += words[i];
    printf("%016llx\n", (unsigned long long)x);
    return 0;
}

static _Noreturn void spin(void) {
    for (volatile uint64_t x = 0;; x++)
        ;
}

static _Noreturn void spin_in_a_session(void) {
    (void)setsid();
    spin();
}

static _Noreturn void stream(void) {
    char *memory = malloc(STREAM_BYTES);

    if (memory == NULL)
        _exit(3);
    for (int value = 0;; value++)
        memset(memory, value, STREAM_BYTES);
}

static _Noreturn void fault(void) {
    for (;;) {
        char *memory = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
            _exit(3);
        for (unsigned i = 0; i < FAULT_BYTES; i += 4096)
            memory[i] = 1;
        munmap(memory, FAULT_BYTES);
    }
}

/* Its child answers each byte: both wake, sleep and change cores all the time. */
static _Noreturn void speak(void) {
    int there[2];
    int back[2];
    char byte = 0;
    pid_t pid;

    if (pipe(there) != 0 || pipe(back) != 0 || (pid = fork()) < 0)
        _exit(3);
    for (;;)
        if (pid == 0) {
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
                _exit(3);
        } else if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            _exit(3);
        }
}

static void burn_until(long cpu_ms) {
    struct timespec now;

    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < cpu_ms);
}

static void *burn(void *unused) {
    burn_until(CPU_MS);
    return unused;
}

static int crowd(long count) {
    for (long left = count; left > 0; left--)
        if (fork() == 0) {
            burn(NULL);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return 0;
}

static int litter(long count) {
    for (long left = count; left > 0; left--)
        if (fork() == 0) {
            burn_until(UNDER_A_TICK_MS);
            _exit(0);
        }
    burn_until(LITTER_MS);
    return 0;
}

static int naps(long count) {
    static const struct timespec moment = {0, 50000};
    char text[128];
    FILE *file;

    while (count-- > 0)
        nanosleep(&moment, NULL);
    file = fopen("/proc/self/schedstat", "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        return 3;
    fputs(text, stdout);
    return 0;
}

static int mob(long count) {
    pthread_t threads[64];

    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, burn, NULL) != 0)
            return 3;
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static void *in_a_thread(void *unused) {
    (void)unused;
    spin();
}

static const struct {
    const char *name;
    void (*worker)(void); /* NULL: a thread that spins */
} kinds[] = {
    {"processes", spin},   {"threads", NULL}, {"sessions", spin_in_a_session},
    {"bandwidth", stream}, {"faults", fault}, {"talkers", speak},
};

static int start(void (*worker)(void)) {
    pthread_t thread;
    pid_t pid;

    if (worker == NULL)
        return pthread_create(&thread, NULL, in_a_thread, NULL);
    pid = fork();
    if (pid == 0)
        worker();
    return pid < 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    if (strcmp(argv[1], "work") == 0)
        return work(atol(argv[2]));
    if (strcmp(argv[1], "crowd") == 0)
        return crowd(atol(argv[2]));
    if (strcmp(argv[1], "mob") == 0)
        return mob(atol(argv[2]));
    if (strcmp(argv[1], "naps") == 0)
        return naps(atol(argv[2]));
    if (strcmp(argv[1], "litter") == 0)
        return litter(atol(argv[2]));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].name) != 0)
            continue;
        for (long left = atol(argv[2]); left > 0; left--)
            if (start(kinds[i].worker) != 0)
                return 3;
        puts("ready");
        fflush(stdout);
        spin();
    }
    return 2;
}
