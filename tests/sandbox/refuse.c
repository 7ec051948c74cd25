/* Starts a program to which system calls are refused, as a container engine's seccomp profile does:
 *
 *     refuse NUMBER:ERRNO[:BITS[:SECOND]] … -- PROGRAM [WORD …]
 *
 * With BITS other than 0, only calls whose first argument has one of these bits. With SECOND, only calls whose second
 * argument is SECOND and whose third is not NULL: prlimit64 that sets a limit. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MOST 64

static struct sock_filter code[MOST * 9 + 1];
static unsigned short length;

static void add(unsigned short op, unsigned value, unsigned char if_true, unsigned char if_false) {
    code[length++] = (struct sock_filter){op, if_true, if_false, value};
}

static void refuse(unsigned number, unsigned error, unsigned bits, int second) {
    unsigned char steps = (unsigned char)(1 + (bits ? 2 : 0) + (second >= 0 ? 4 : 0));

    add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, number, 0, steps);
    if (bits) {
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
        add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, (unsigned char)(steps - 2));
    }
    if (second >= 0) {
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]), 0, 0);
        add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)second, 0, 3);
        add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]), 0, 0);
        add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    }
    add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error, 0, 0);
}

int main(int argc, char **argv) {
    struct sock_fprog program = {.filter = code};
    int word = 1;

    for (; word < argc && word <= MOST && strcmp(argv[word], "--") != 0; word++) {
        unsigned number, error, bits = 0;
        int second = -1;

        if (sscanf(argv[word], "%u:%u:%u:%d", &number, &error, &bits, &second) < 2)
            return 2;
        refuse(number, error, bits, second);
    }
    if (word + 1 >= argc)
        return 2;
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    program.len = length;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("refuse");
        return 2;
    }
    execv(argv[word + 1], argv + word + 1);
    perror(argv[word + 1]);
    return 2;
}
