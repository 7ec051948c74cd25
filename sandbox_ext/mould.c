/* See mould.h. */
#define _GNU_SOURCE
#include "mould.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE 41
#endif

/* Payloads set their own limits, which must lie below ours. Where ours cannot be raised, ours hold. */
static void raise_limits(void) {
    static const int resources[] = {RLIMIT_STACK, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_NPROC};

    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        struct rlimit limit;

        if (getrlimit((__rlimit_resource_t)resources[i], &limit) != 0)
            continue;
        limit.rlim_max = resources[i] == RLIMIT_NOFILE ? 1U << 20 : RLIM_INFINITY;
        (void)setrlimit((__rlimit_resource_t)resources[i], &limit);
    }
}

/* 1 leaves no room for a core file either, but with 0 the kernel would still start the host's crash reporter, as root,
 * once per crash. The policy prevents any change. */
static int limit_core(void) {
    const struct rlimit limit = {1, 1};

    return setrlimit(RLIMIT_CORE, &limit) != 0 ? -errno : 0;
}

int mould(const char **step) {
    int error;

    umask(022);
    sys_hurry(); /* we share a session, and so the cores, with all processes of a run */
    raise_limits();
    *step = "limits";
    error = limit_core();
    if (error != 0)
        return error;
    /* Memory must not grow by 2 MiB with one touch, since it is sampled. Kept over clone and exec. */
    *step = "huge_pages";
    return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0 ? -errno : 0;
}
