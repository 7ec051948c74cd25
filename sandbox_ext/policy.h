/* The seccomp policies: an allow-list for running, a wider one for compilers. The table is policy.txt. */
#ifndef DEEPOJ_POLICY_H
#define DEEPOJ_POLICY_H

#include <linux/audit.h>
#include <linux/filter.h>

#include "wire.h"

#define POLICY_MAX_INSTRUCTIONS 1024U

#if defined(__x86_64__)
#define POLICY_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define POLICY_ARCH AUDIT_ARCH_AARCH64
#else
#error "the seccomp policy knows x86_64 and aarch64"
#endif

struct policy_program {
    unsigned short length;
    struct sock_filter code[POLICY_MAX_INSTRUCTIONS];
};

/* Assembles the policy as a balanced tree over system call numbers. `weak` selects the variant for hosts without
 * namespaces. Returns 0, or -E2BIG when it does not fit. */
int policy_assemble(enum doj_policy policy, bool weak, struct policy_program *program);

#endif
