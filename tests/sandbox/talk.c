/* The two sides of a guessing game, played by the book and not: a program (`play` and its faults) and an interactor
 * (`referee` and its faults), which says 42 for right and 43 for wrong. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RIGHT 42
#define WRONG 43

static void rest(long ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

static _Noreturn void spin(void) {
    for (volatile unsigned long i = 0;; i = i + 1)
        ;
}

/* Once there is something to be read, which stays where it is. */
static _Noreturn void stare(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};

    while (poll(&input, 1, -1) <= 0)
        ;
    spin();
}

static _Noreturn void flood(void) {
    static char junk[65536];

    memset(junk, '7', sizeof junk);
    for (;;)
        if (write(1, junk, sizeof junk) < 0)
            exit(1);
}

static _Noreturn void hoard(void) {
    for (size_t size = 1 << 20;; size += 1 << 20)
        memset(malloc(1 << 20), 1, 1 << 20);
}

static _Noreturn void bomb(void) {
    for (;;)
        if (fork() == 0)
            pause();
}

static int ask(long guess, char *answer) {
    printf("%ld\n", guess);
    fflush(stdout);
    return scanf("%15s", answer) == 1;
}

static void *shut_late(void *unused) {
    (void)unused;
    rest(100);
    close(1);
    for (char word[8]; read(0, word, sizeof word) > 0;)
        ;
    exit(RIGHT);
}

/* Closes the output in one of several ways and lives on; whether the other side then speaks. */
static int shut(const char *how, char **argv) {
    char word[8];
    pthread_t thread;

    if (strcmp(how, "shut_dup") == 0) { /* the last of several descriptors counts */
        int copy = dup(1);

        close(1);
        rest(100);
        if (write(copy, "late\n", 5) != 5)
            return 0;
        close(copy);
    } else if (strcmp(how, "shut_child") == 0) { /* the child is the last to hold it, and outlives that */
        if (fork() == 0) {
            rest(100);
            if (write(1, "late\n", 5) == 5)
                close(1);
            pause();
        }
        close(1);
    } else if (strcmp(how, "shut_dead_child") == 0) { /* here it ends by that */
        if (fork() == 0) {
            rest(100);
            _exit(write(1, "late\n", 5) != 5);
        }
        close(1);
    } else if (strcmp(how, "shut_anew") == 0) { /* another description of the same pipe */
        int again = open("/dev/stdout", O_WRONLY);

        close(1);
        rest(100);
        if (again < 0 || write(again, "late\n", 5) != 5)
            return 0;
        close(again);
    } else if (strcmp(how, "shut_thread") == 0) { /* after the first thread has ended */
        pthread_create(&thread, NULL, shut_late, NULL);
        pthread_exit(NULL);
    } else if (strcmp(how, "shut_exec") == 0) {
        fcntl(1, F_SETFD, FD_CLOEXEC);
        execl(argv[0], argv[0], argv[1], "spoken_to", NULL);
    } else {
        close(1);
    }
    return read(0, word, sizeof word) > 0;
}

/* Speaks once the other's output has ended, if that ended as it should. */
static int speak_at_end(void) {
    char said[64];
    size_t size = 0;
    ssize_t count;

    while (size < sizeof said && (count = read(0, said + size, sizeof said - size)) > 0)
        size += (size_t)count;
    return (size == 0 || (size == 5 && memcmp(said, "late\n", 5) == 0)) && write(1, "bye\n", 4) == 4;
}

static int play(long turns) {
    long low = 1;
    long high = 1000;
    char answer[16];

    for (long turn = 0; turn < turns && low <= high; turn++) {
        long guess = (low + high) / 2;

        if (!ask(guess, answer))
            return 0;
        if (strcmp(answer, "right") == 0)
            return 1;
        if (strcmp(answer, "more") == 0)
            low = guess + 1;
        else
            high = guess - 1;
    }
    return 0;
}

/* 1 when the secret was said, 0 at the end of the input or at junk. */
static int referee(long secret, long turns) {
    long guess;

    while (turns-- > 0 && scanf("%ld", &guess) == 1) {
        const char *answer = guess == secret ? "right" : guess < secret ? "more" : "less";

        printf("%s\n", answer);
        fflush(stdout);
        if (guess == secret)
            return 1;
    }
    return 0;
}

static int player(const char *how, long number) {
    char line[64];

    if (strcmp(how, "play") == 0)
        return play(100) ? 0 : 9;
    if (strcmp(how, "wrong") == 0) { /* asks the same question until the partner is gone */
        while (ask(1001, line))
            ;
        return 0;
    }
    if (strcmp(how, "leave") == 0)
        return 0;
    if (strcmp(how, "leave_after") == 0) {
        play(number);
        return 0;
    }
    if (strcmp(how, "exit") == 0)
        return (int)number;
    if (strcmp(how, "crash") == 0) {
        play(2);
        raise(SIGSEGV);
    }
    if (strcmp(how, "crash_at_end") == 0) { /* because there is nothing to read any more */
        while (ask(1001, line))
            ;
        raise(SIGSEGV);
    }
    if (strcmp(how, "shut_and_crash") == 0) {
        close(1);
        while (read(0, line, sizeof line) > 0)
            ;
        raise(SIGSEGV);
    }
    if (strcmp(how, "mute") == 0) { /* stays in the buffer */
        printf("500\n");
        return scanf("%15s", line) == 1 ? 0 : 8;
    }
    if (strcmp(how, "spin_after") == 0) {
        while (ask(1001, line))
            ;
        spin();
    }
    if (strcmp(how, "late") == 0) { /* after the other has ended, on a host of any speed */
        play(100);
        while (getchar() != EOF)
            ;
        rest(number);
        return 0;
    }
    if (strcmp(how, "late_and_spin") == 0) {
        play(100);
        while (getchar() != EOF)
            ;
        spin();
    }
    if (strcmp(how, "trailing") == 0) { /* and still writes when the partner is gone */
        play(100);
        while (getchar() != EOF)
            ;
        printf("one more line\n");
        return fflush(stdout) == 0 ? 0 : 7;
    }
    if (strcmp(how, "orphan") == 0) { /* a child that holds both pipes */
        if (fork() == 0) {
            rest(number);
            return 0;
        }
        return 0;
    }
    if (strcmp(how, "reopen") == 0)
        return freopen("/dev/stdin", "r", stdin) != NULL && freopen("/dev/stdout", "w", stdout) != NULL && play(100) ? 0 : 6;
    if (strcmp(how, "listen") == 0) { /* without an end */
        while (read(0, line, sizeof line) > 0)
            ;
        return 0;
    }
    if (strcmp(how, "ping") == 0) {
        for (long i = 0; i < number; i++)
            if (write(1, "123456\n", 7) != 7 || read(0, line, sizeof line) <= 0)
                return 5;
        return 0;
    }
    return 99;
}

static int judge(const char *how, long number) {
    char line[64];
    long guess;
    ssize_t count;

    if (strcmp(how, "referee") == 0)
        return referee(number, 1000) ? RIGHT : WRONG;
    if (strcmp(how, "refuse") == 0) /* the first guess is one too many */
        return scanf("%ld", &guess) == 1 ? WRONG : 1;
    if (strcmp(how, "refuse_at_end") == 0) {
        while (read(0, line, sizeof line) > 0)
            ;
        return WRONG;
    }
    if (strcmp(how, "accept_at_once") == 0)
        return RIGHT;
    if (strcmp(how, "until_eof") == 0) { /* reads on after the secret was said */
        int good = referee(number, 1000);

        fclose(stdout);
        while (getchar() != EOF)
            ;
        return good ? RIGHT : WRONG;
    }
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "spin_at_eof") == 0) {
        referee(number, 1000);
        spin();
    }
    if (strcmp(how, "blind") == 0) { /* writes before it reads, without looking who reads */
        rest(50);
        printf("more\n");
        fflush(stdout);
        return referee(number, 1000) ? RIGHT : WRONG;
    }
    if (strcmp(how, "stuff") == 0) { /* more than the pipe holds, then reads */
        for (long i = 0; i < 100000; i++)
            printf("more\n");
        fflush(stdout);
        return WRONG;
    }
    if (strcmp(how, "keep_all") == 0) { /* a word as long as it likes */
        size_t size = 0;
        char *word = NULL;

        while ((count = read(0, word = realloc(word, size + 65536), 65536)) > 0)
            size += (size_t)count;
        return WRONG;
    }
    if (strcmp(how, "pong") == 0) {
        while ((count = read(0, line, sizeof line)) > 0)
            if (write(1, line, (size_t)count) != count)
                return 1;
        return RIGHT;
    }
    return 99;
}

int main(int argc, char **argv) {
    const char *side = argc > 1 ? argv[1] : "";
    const char *how = argc > 2 ? argv[2] : "";
    long number = argc > 3 ? atol(argv[3]) : 0;

    if (strcmp(how, "sleep") == 0)
        rest(number);
    else if (strcmp(how, "spin") == 0)
        spin();
    else if (strcmp(how, "stare") == 0)
        stare();
    else if (strcmp(how, "flood") == 0)
        flood();
    else if (strcmp(how, "hoard") == 0)
        hoard();
    else if (strcmp(how, "bomb") == 0)
        bomb();
    else if (strncmp(how, "shut", 4) == 0 && strcmp(how, "shut_and_crash") != 0)
        return shut(how, argv) ? RIGHT : WRONG;
    else if (strcmp(how, "spoken_to") == 0)
        return getchar() == 'b' ? RIGHT : WRONG;
    else if (strcmp(how, "speak_at_end") == 0)
        return speak_at_end() ? RIGHT : WRONG;
    else
        return strcmp(side, "player") == 0 ? player(how, number) : judge(how, number);
    return 0;
}
