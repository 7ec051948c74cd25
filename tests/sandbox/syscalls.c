/* Makes each system call of its standard input once, in a child, with arguments that do no harm, and prints what was
 * answered. A line of input: a number, six arguments. A line of output: the number, then the errno, 0, "signal N" or
 * "blocked" (the kernel took the call and waits).
 *
 * All arguments are invalid or empty wherever a call could do something: descriptors that are not open, pointers into
 * nothing. What is asked is only who answers: the filter or the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 300
#define MOST 2048

struct answer {
    volatile int made;
    volatile long result;
    volatile int error;
};

int main(void) {
    struct answer *answers; /* one for each call: a child's child may still write when the next call is made */
    struct answer *answer;
    sigset_t child;
    unsigned long a[6];
    long number;
    FILE *shared = fopen("shared", "w+"); /* memory for parent and child, which a run may have of files alone */

    if (shared == NULL || ftruncate(fileno(shared), MOST * sizeof *answers) != 0)
        return 3;
    answers = mmap(NULL, MOST * sizeof *answers, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(shared), 0);
    if (answers == MAP_FAILED)
        return 4;
    answer = answers;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    while (scanf("%ld %li %li %li %li %li %li", &number, (long *)&a[0], (long *)&a[1], (long *)&a[2], (long *)&a[3],
                 (long *)&a[4], (long *)&a[5]) == 7) {
        struct timespec patience = {0, PATIENCE_MS * 1000000L};
        int status = 0;
        int waited = 0;
        pid_t pid;

        fflush(stdout);
        if (++answer == answers + MOST)
            return 6;
        pid = fork();
        if (pid < 0)
            return 5;
        if (pid == 0) {
            long result;

            fclose(stdin);
            close(1);
            close(2);
            errno = 0;
            result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
            /* another thread of control may come out of it (fork); both write the same */
            answer->error = result == -1 ? errno : 0;
            answer->result = result;
            answer->made = 1;
            _exit(0);
        }
        if (waitpid(pid, &status, WNOHANG) == 0 && sigtimedwait(&child, NULL, &patience) < 0)
            waited = waitpid(pid, &status, WNOHANG) == 0;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        if (answer->made)
            printf("%ld %d\n", number, answer->error);
        else if (waited)
            printf("%ld blocked\n", number);
        else if (WIFSIGNALED(status))
            printf("%ld signal %d\n", number, WTERMSIG(status));
        else
            printf("%ld ended\n", number); /* exit, exit_group, … */
        while (sigtimedwait(&child, NULL, &(struct timespec){0, 0}) > 0 || waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    fflush(stdout);
    return 0;
}
