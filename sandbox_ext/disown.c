/* Theory of operation
 *
 * The kernel adds a child's CPU time to its parent when the parent waits for it. A parent that ignores SIGCHLD, or sets
 * SA_NOCLDWAIT, never waits: the kernel reaps its children, and no file that an ordinary user may read keeps their CPU
 * time. Only a cgroup counts it. Where there is none, a run that can lose children is measured by the sampler, which
 * overestimates unseen time (sampler_cpu.c). Other runs must not be measured so: their exact figure is complete.
 *
 * How both are told apart: a run can lose children only after it has called rt_sigaction(SIGCHLD, action), and a
 * seccomp filter sees these two arguments. The caller is suspended until the slot has read the action from the caller's
 * memory (watch.c). Shells, Go and others set a handler, and lose nothing. But another task could change the memory after the
 * slot has read it. So a handler is trusted only in memory that no other task can write: private, of no file, in a
 * process with one thread that is no vfork child. And only while the run has no orphan: a vfork child whose parent has
 * died shares the memory of its grandparent, which goes on running. */
#define _GNU_SOURCE
#include "disown.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "proctext.h"
#include "sys.h"

#define MAPS_BYTES 32768U

/* The beginning of the kernel's struct sigaction. */
struct action {
    uint64_t handler;
    uint64_t flags;
};

static bool read_stat(int proc, pid_t pid, struct proctext_stat *stat) {
    char path[32];
    char text[1024];

    snprintf(path, sizeof path, "%d/stat", (int)pid);
    return sys_read_file(proc, path, text, sizeof text) > 0 && proctext_stat(text, stat);
}

static bool is_private(int proc, pid_t pid, uint64_t address) {
    static char text[MAPS_BYTES];
    char path[32];

    snprintf(path, sizeof path, "%d/maps", (int)pid);
    return sys_read_file(proc, path, text, sizeof text) > 0 && proctext_is_private(text, address) &&
           proctext_is_private(text, address + sizeof(struct action) - 1);
}

/* Counts the children of a process; UINT_MAX when they cannot be read. */
static unsigned count_children(int proc, pid_t pid) {
    char path[64];
    char text[256];
    unsigned count = 0;

    snprintf(path, sizeof path, "%d/task/%d/children", (int)pid, (int)pid);
    if (sys_read_file(proc, path, text, sizeof text) < 0)
        return UINT_MAX;
    for (const char *at = text; *at != 0; at++)
        count += *at == ' '; /* one after each number */
    return count;
}

/* Orphans are children of the slot or the init, beside the init and the payload. */
static bool has_orphans(int proc, pid_t parent, pid_t init) {
    return count_children(proc, parent) > 2 || count_children(proc, init) > 0;
}

/* Returns whether no other task can change the memory at the address. */
static bool is_its_own(int proc, pid_t pid, uint64_t address, pid_t parent, pid_t init) {
    struct proctext_stat stat;
    struct proctext_stat parent_stat;

    if (!read_stat(proc, pid, &stat) || stat.threads != 1 || !is_private(proc, pid, address) ||
        has_orphans(proc, parent, init))
        return false;
    if (stat.parent == parent)
        return true;
    return read_stat(proc, stat.parent, &parent_stat) && parent_stat.threads == 1 && parent_stat.state != 'D';
}

static bool is_handler(int proc, pid_t pid, uint64_t address) {
    struct action action;
    char path[32];
    ssize_t size;
    int memory;

    snprintf(path, sizeof path, "%d/mem", (int)pid);
    memory = openat(proc, path, O_RDONLY | O_CLOEXEC);
    size = memory < 0 ? -1 : pread(memory, &action, sizeof action, (off_t)address);
    sys_close(&memory);
    return size == (ssize_t)sizeof action && action.handler != (uint64_t)(uintptr_t)SIG_IGN &&
           (action.flags & SA_NOCLDWAIT) == 0;
}

bool disown_is_possible(const struct watched_call *call, int proc, pid_t parent, pid_t init) {
    return !is_handler(proc, call->pid, call->args[1]) || !is_its_own(proc, call->pid, call->args[1], parent, init);
}
