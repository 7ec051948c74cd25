/* Theory of operation
 *
 * The kernel adds a child's CPU time to its parent when the parent waits for it. A parent that ignores SIGCHLD, or sets
 * SA_NOCLDWAIT, never waits: the kernel reaps its children, and no file that an ordinary user may read keeps their CPU
 * time. Only a cgroup counts it. Where there is none, a run that can lose children is measured by the sampler, which
 * overestimates unseen time (sampler_cpu.c). Other runs must not be measured so: their exact figure is complete.
 *
 * How both are told apart: a run can lose children only after it has called rt_sigaction(SIGCHLD, action), and a
 * seccomp filter sees these two arguments. The caller is suspended until the slot has read the action from the caller's
 * memory. Shells, Go and others set a handler, and lose nothing. But another task could change the memory after the
 * slot has read it. So a handler is trusted only in memory that no other task can write: private, of no file, in a
 * process with one thread that is no vfork child. And only while the run has no orphan: a vfork child whose parent has
 * died shares the memory of its grandparent, which goes on running. */
#define _GNU_SOURCE
#include "disown.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy.h"
#include "proctext.h"
#include "sys.h"

#define MAPS_BYTES 32768U

/* The beginning of the kernel's struct sigaction. */
struct action {
    uint64_t handler;
    uint64_t flags;
};

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(index) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[index]) + 4)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))

int disown_watch(void) {
    struct sock_filter code[] = {
        LOAD(arch),
        SKIP_UNLESS(POLICY_ARCH, 8), /* others are killed by the policy */
        LOAD(nr),
        SKIP_UNLESS(__NR_rt_sigaction, 6),
        LOAD(args[0]),
        SKIP_UNLESS(SIGCHLD, 4),
        LOAD(args[1]), /* with NULL the call only reads the action */
        SKIP_UNLESS(0, 3),
        LOAD_HIGH(1),
        SKIP_UNLESS(0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    long listener;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    return listener < 0 ? -errno : (int)listener;
}

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

bool disown_hear(int listener, bool look, int proc, pid_t parent, pid_t init) {
    union { /* a newer kernel's struct may be longer */
        struct seccomp_notif call;
        char room[1024];
    } notification;
    union {
        struct seccomp_notif_resp answer;
        char room[1024];
    } response;
    pid_t pid;
    bool lost = true;

    memset(&notification, 0, sizeof notification);
    memset(&response, 0, sizeof response);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0)
        return false; /* the process is gone */
    pid = (pid_t)notification.call.pid;
    if (look)
        lost = !is_handler(proc, pid, notification.call.data.args[1]) ||
               !is_its_own(proc, pid, notification.call.data.args[1], parent, init);
    response.answer.id = notification.call.id;
    response.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response); /* fails if the process is gone */
    return lost;
}
