/* Theory of operation
 *
 * policy.txt has the answer to each system call, with its reason. make_policy.py makes policy_table.h of it when the
 * launcher is built. Here the table becomes a filter: EPERM for a refused call, ENOSYS for an absent one and for every
 * call not in the table, and KILL for a call from a foreign instruction set. Some calls are decided by an argument. The
 * checks are few, each has a name, and policy.txt says what it is for.
 *
 * The filter sees an argument as a number, never the memory behind a pointer. So no answer depends on a path or a
 * structure: clone3, whose flags lie in memory, is answered ENOSYS, and libc falls back to clone.
 *
 * The table becomes a balanced binary tree over call numbers once, when the launcher starts: eight comparisons per call
 * instead of some hundred. Neighbours with the same answer are one leaf. */
#define _GNU_SOURCE
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum answer {
    ALLOW = 0,
    REFUSE,          /* EPERM */
    ABSENT,          /* ENOSYS */
    PRETEND,         /* 0 without effect */
    COMPILE,         /* ALLOW under DOJ_POLICY_COMPILE, else REFUSE */
    COMPILE_PRETEND, /* PRETEND under DOJ_POLICY_COMPILE, else REFUSE */
    /* decided by arguments */
    CLONE_CHECK,
    FCNTL_CHECK,
    SOCKET_CHECK,
    PRCTL_CHECK,
    IOCTL_CHECK,
    SELF_CHECK,
    PERSONALITY_CHECK,
    MMAP_CHECK,
    SETSOCKOPT_CHECK,
    SETRLIMIT_CHECK,
    PRLIMIT_CHECK,
    SCHEDULER_CHECK,
    URGENT_SEND_CHECK,
    URGENT_MESSAGE_CHECK,
    LEASED_FCNTL_CHECK,
    NO_SOCKET_CHECK,
    PAIR_CHECK,
    OPEN_CHECK,
    OPENAT_CHECK,
};

struct rule {
    long number;
    enum answer answer;
};

/* The table and the values that the checks use. */
#include "policy_table.h"

/* Hidden and huge memory; see the table. MAP_SHARED_VALIDATE includes the bit of MAP_SHARED. */
#define MMAP_SHARED_MEMORY ((uint32_t)(MAP_SHARED | MAP_ANONYMOUS))

/* The other bits of a socket's type are flags. */
#define SOCKET_TYPE 0xfU

/* ---- assembling -------------------------------------------------------------------------------------------------- */

struct leaf {
    uint32_t first; /* from this call number up to the next leaf's */
    enum answer answer;
};

#define MAX_LEAVES 512U

struct assembler {
    struct policy_program *program;
    struct leaf leaves[MAX_LEAVES];
    size_t leaf_count;
    bool full;
};

static void emit(struct assembler *assembler, struct sock_filter instruction) {
    struct policy_program *program = assembler->program;

    if (program->length >= POLICY_MAX_INSTRUCTIONS) {
        assembler->full = true;
        return;
    }
    program->code[program->length++] = instruction;
}

static void emit_return(struct assembler *assembler, uint32_t value) {
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value));
}

static void emit_refuse(struct assembler *assembler, int error) {
    emit_return(assembler, SECCOMP_RET_ERRNO | (uint32_t)error);
}

/* Loads the low half of an argument: every check below concerns a C int, or flags in the low half. */
static void emit_load_argument(struct assembler *assembler, unsigned index) {
    uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));

    emit(assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static void emit_load_high(struct assembler *assembler, unsigned index) {
    uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) + sizeof(uint32_t));

    emit(assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

/* Skips `skip` instructions when the loaded word equals the value. */
static void emit_skip_if(struct assembler *assembler, uint32_t value, unsigned char skip) {
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip, 0));
}

static void emit_mmap(struct assembler *assembler) {
    emit_load_argument(assembler, 3);
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_HUGETLB, 3, 0));
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, MMAP_SHARED_MEMORY));
    emit_skip_if(assembler, MMAP_SHARED_MEMORY, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

/* Answers EPERM when the loaded word equals one of the values, else allows. */
static void emit_none_of(struct assembler *assembler, const uint32_t *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        emit_skip_if(assembler, values[i], (unsigned char)(count - i));
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

static void emit_setsockopt(struct assembler *assembler) {
    emit_load_argument(assembler, 1);
    emit_skip_if(assembler, SOL_SOCKET, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_load_argument(assembler, 2);
    emit_none_of(assembler, setsockopt_values, COUNT(setsockopt_values));
}

/* Answers EPERM for the refused flags, and for calls that resemble a thread or a vfork child but are neither: only
 * these two may share memory. */
static void emit_clone(struct assembler *assembler, uint32_t refused) {
    emit_load_argument(assembler, 0);
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, refused, 5, 0));
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VM, 2, 0));
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VFORK | CLONE_THREAD, 3, 0));
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_VFORK | CLONE_THREAD, 0, 1));
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_refuse(assembler, EPERM);
}

/* Answers an error when the argument has one of the bits, else allows. */
static void emit_no_bits(struct assembler *assembler, unsigned index, uint32_t bits, int error) {
    emit_load_argument(assembler, index);
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    emit_refuse(assembler, error);
    emit_return(assembler, SECCOMP_RET_ALLOW);
}

static uint32_t all_of(const uint32_t *bits, size_t count) {
    uint32_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum |= bits[i];
    return sum;
}

/* RLIMIT_CORE may be read, not changed. */
static void emit_setrlimit(struct assembler *assembler) {
    static const uint32_t fixed[] = {RLIMIT_CORE};

    emit_load_argument(assembler, 0);
    emit_none_of(assembler, fixed, COUNT(fixed));
}

static void emit_prlimit(struct assembler *assembler) {
    emit_load_argument(assembler, 0);
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_load_argument(assembler, 1);
    emit_skip_if(assembler, RLIMIT_CORE, 1);
    emit_return(assembler, SECCOMP_RET_ALLOW);
    emit_load_argument(assembler, 2); /* the new limit, or NULL */
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_load_high(assembler, 2);
    emit_skip_if(assembler, 0, 1);
    emit_refuse(assembler, EPERM);
    emit_return(assembler, SECCOMP_RET_ALLOW);
}

/* Allows when the loaded word equals one of the values, else answers `error`. */
static void emit_one_of(struct assembler *assembler, const uint32_t *values, size_t count, int error) {
    for (size_t i = 0; i < count; i++) {
        emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, values[i], 0, 1));
        emit_return(assembler, SECCOMP_RET_ALLOW);
    }
    emit_refuse(assembler, error);
}

static void emit_answer(struct assembler *assembler, enum answer answer) {
    static const uint32_t self_only[] = {0};
    static const uint32_t connected_types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    static const uint32_t ask_only[] = {0xffffffffU, 0};

    switch (answer) {
    case ALLOW:
        emit_return(assembler, SECCOMP_RET_ALLOW);
        break;
    case COMPILE: /* resolved by the caller, as is the next */
    case COMPILE_PRETEND:
    case REFUSE:
        emit_refuse(assembler, EPERM);
        break;
    case ABSENT:
        emit_refuse(assembler, ENOSYS);
        break;
    case PRETEND:
        emit_refuse(assembler, 0);
        break;
    case CLONE_CHECK:
        emit_clone(assembler, all_of(clone_values, COUNT(clone_values)));
        break;
    case SOCKET_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, socket_values, COUNT(socket_values), EAFNOSUPPORT);
        break;
    case FCNTL_CHECK:
        emit_load_argument(assembler, 1);
        emit_none_of(assembler, fcntl_values, COUNT(fcntl_values));
        break;
    case PRCTL_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, prctl_values, COUNT(prctl_values), EPERM);
        break;
    case IOCTL_CHECK:
        emit_load_argument(assembler, 1);
        emit_one_of(assembler, ioctl_values, COUNT(ioctl_values), ENOTTY);
        break;
    case SELF_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, self_only, COUNT(self_only), EPERM);
        break;
    case PERSONALITY_CHECK:
        emit_load_argument(assembler, 0);
        emit_one_of(assembler, ask_only, COUNT(ask_only), EPERM);
        break;
    case MMAP_CHECK:
        emit_mmap(assembler);
        break;
    case SETSOCKOPT_CHECK:
        emit_setsockopt(assembler);
        break;
    case SETRLIMIT_CHECK:
        emit_setrlimit(assembler);
        break;
    case PRLIMIT_CHECK:
        emit_prlimit(assembler);
        break;
    case SCHEDULER_CHECK:
        emit_load_argument(assembler, 1);
        emit_skip_if(assembler, SCHED_OTHER, 1);
        emit_refuse(assembler, EPERM);
        emit_refuse(assembler, 0);
        break;
    case URGENT_SEND_CHECK:
        emit_no_bits(assembler, 3, MSG_OOB, EPERM);
        break;
    case URGENT_MESSAGE_CHECK:
        emit_no_bits(assembler, 2, MSG_OOB, EPERM);
        break;
    case LEASED_FCNTL_CHECK:
        emit_load_argument(assembler, 1);
        emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETLEASE, 0, 1));
        emit_refuse(assembler, EPERM);
        emit_none_of(assembler, fcntl_values, COUNT(fcntl_values));
        break;
    case NO_SOCKET_CHECK:
        emit_refuse(assembler, EAFNOSUPPORT);
        break;
    case PAIR_CHECK:
        emit_load_argument(assembler, 0);
        emit_skip_if(assembler, AF_UNIX, 1);
        emit_refuse(assembler, EAFNOSUPPORT);
        emit_load_argument(assembler, 1);
        emit(assembler, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE));
        emit_one_of(assembler, connected_types, COUNT(connected_types), EPERM);
        break;
    case OPEN_CHECK: /* the answer of a file system without O_TMPFILE: callers then create a named file and remove it */
        emit_no_bits(assembler, 1, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP);
        break;
    case OPENAT_CHECK:
        emit_no_bits(assembler, 2, O_TMPFILE & ~O_DIRECTORY, EOPNOTSUPP);
        break;
    }
}

/* Emits leaves[first, last): the answer of one leaf, or a comparison, the lower half and the upper half. */
static void emit_tree(struct assembler *assembler, size_t first, size_t last) {
    size_t middle = first + (last - first) / 2;
    unsigned short at;

    if (last - first == 1) {
        emit_answer(assembler, assembler->leaves[first].answer);
        return;
    }
    emit(assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, assembler->leaves[middle].first, 0, 1));
    at = assembler->program->length;
    emit(assembler, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
    emit_tree(assembler, first, middle);
    if (assembler->full)
        return;
    /* the distance of a conditional jump is one byte, so the far half is reached by an unconditional one */
    assembler->program->code[at].k = (uint32_t)(assembler->program->length - at - 1);
    emit_tree(assembler, middle, last);
}

static int by_number(const void *left, const void *right) {
    long a = ((const struct rule *)left)->number;
    long b = ((const struct rule *)right)->number;

    return (a > b) - (a < b);
}

static void add_leaf(struct assembler *assembler, uint32_t first, enum answer answer) {
    if (assembler->leaf_count > 0 && assembler->leaves[assembler->leaf_count - 1].answer == answer)
        return;
    if (assembler->leaf_count >= MAX_LEAVES) {
        assembler->full = true;
        return;
    }
    assembler->leaves[assembler->leaf_count++] = (struct leaf){first, answer};
}

static enum answer at_weak(const struct rule *rule) {
    for (size_t i = 0; i < COUNT(weak_rules); i++)
        if (weak_rules[i].number == rule->number)
            return weak_rules[i].answer;
    return rule->answer;
}

static void make_leaves(struct assembler *assembler, enum doj_policy policy, bool weak) {
    struct rule sorted[COUNT(rules)];
    uint32_t next = 0;

    memcpy(sorted, rules, sizeof rules);
    qsort(sorted, COUNT(rules), sizeof *rules, by_number);
    for (size_t i = 0; i < COUNT(rules); i++) {
        uint32_t number = (uint32_t)sorted[i].number;
        enum answer answer = weak ? at_weak(&sorted[i]) : sorted[i].answer;

        if (answer == COMPILE)
            answer = policy == DOJ_POLICY_COMPILE ? ALLOW : REFUSE;
        if (answer == COMPILE_PRETEND)
            answer = policy == DOJ_POLICY_COMPILE ? PRETEND : REFUSE;
        if (number > next)
            add_leaf(assembler, next, ABSENT);
        add_leaf(assembler, number, answer);
        next = number + 1;
    }
    add_leaf(assembler, next, ABSENT);
}

int policy_assemble(enum doj_policy policy, bool weak, struct policy_program *program) {
    struct assembler assembler = {.program = program};

    program->length = 0;
    make_leaves(&assembler, policy, weak);
    emit(&assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    emit(&assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, POLICY_ARCH, 1, 0));
    emit_return(&assembler, SECCOMP_RET_KILL_PROCESS);
    emit(&assembler, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
#if defined(__x86_64__)
    /* x32 calls have this bit: the same numbers with other meanings */
    emit(&assembler, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000000U, 0, 1));
    emit_return(&assembler, SECCOMP_RET_KILL_PROCESS);
#endif
    emit_tree(&assembler, 0, assembler.leaf_count);
    return assembler.full ? -E2BIG : 0;
}
