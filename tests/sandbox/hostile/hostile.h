/* What the hostile programs share. Each source file is one theme and one program; argv[1] chooses the deed.
 *
 * A deed that only tries things which must be refused prints a line "name errno" for each (errno 0: it was not
 * refused) and returns 0; the table in table.py says which answers are right. */
#ifndef HOSTILE_H
#define HOSTILE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024L * 1024L)
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct deed {
    const char *name;
    int (*function)(int count, char **words);
};

/* The words after the deed's name. */
#define DEED(name) static int name(__attribute__((unused)) int count, __attribute__((unused)) char **words)

static inline void answered(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }

/* The raw call: libc must not stand between. */
#define TRY(name, ...) answered(#name, syscall(SYS_##name, __VA_ARGS__))

static inline void nap(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static inline _Noreturn void spin(void) {
    for (volatile unsigned long turns = 0;; turns++)
        ;
}

static inline _Noreturn void sleep_forever(void) {
    for (;;)
        pause();
}

/* Touched memory; NULL when there is no more. */
static inline char *take(long bytes) {
    char *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    for (long i = 0; i < bytes; i += 4096)
        memory[i] = 1;
    return memory;
}

static inline void take_all(void) {
    while (take(MIB) != NULL)
        ;
    for (;;) /* no more to be had, and not ended: let the wall decide, which no row expects */
        pause();
}

static inline int choose(const struct deed *deeds, size_t deed_count, int argc, char **argv) {
    for (size_t i = 0; i < deed_count && argc > 1; i++)
        if (strcmp(deeds[i].name, argv[1]) == 0)
            return deeds[i].function(argc - 2, argv + 2);
    fprintf(stderr, "no such deed\n");
    return 99;
}

#define MAIN(deeds)                                                                                                    \
    int main(int argc, char **argv) { return choose(deeds, COUNT(deeds), argc, argv); }

#endif
