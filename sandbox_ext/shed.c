/* Theory of operation
 *
 * An ordered list of steps, each of which gives up one right. A step that needs a right comes before the step that
 * drops it.
 *
 * Which process sheds: without a cgroup the slot itself does, once, before its first run. Loading a seccomp filter
 * costs 155 µs where a whole bare run costs 390, clearing the bounding set 55, all else together 20. The payloads
 * inherit the slot's state. With a cgroup each payload sheds for itself, between clone and exec: placing it in its
 * group takes clone3, which no filter of ours can allow, and rights over the group. At `weak` payloads shed for
 * themselves, too: a slot within the confinement of its payload could receive the payload's signals. */
#define _GNU_SOURCE
#include "shed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "sys.h"

struct shedding {
    const struct launcher *launcher;
    enum doj_policy policy;
    int confinement;
};

/* Capabilities stay for the next steps (KEEPCAPS) and go in shed_capabilities. In a user namespace of an ordinary user
 * we have this uid already, and supplementary groups cannot be dropped there. Raw system calls, because libc's
 * functions signal all threads of the process. */
static int shed_user(const struct shedding *shedding) {
    const struct launcher *launcher = shedding->launcher;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    if (!launcher->privileged)
        return 0;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || syscall(SYS_setgroups, 0UL, NULL) != 0 ||
        syscall(SYS_setresgid, launcher->gid, launcher->gid, launcher->gid) != 0 ||
        syscall(SYS_setresuid, launcher->uid, launcher->uid, launcher->uid) != 0)
        return -errno;
    /* the change of uid emptied the effective set, but not the permitted one */
    if (syscall(SYS_capget, &head, data) != 0)
        return -errno;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    return syscall(SYS_capset, &head, data) != 0 ? -errno : 0;
}

static int write_map(const struct launcher *launcher, const char *file, unsigned id) {
    char map[64];

    snprintf(map, sizeof map, "%u %u 1", id, id);
    return sys_write_file(launcher->host_proc, file, map);
}

/* Gives the slot a process count of its own. RLIMIT_NPROC counts a uid on the whole host. In a new user namespace the
 * kernel counts from zero. It counts the slot (where the slot sheds) and its run, for the namespace is this slot's
 * alone. */
static int shed_process_quota(const struct shedding *shedding) {
    const struct launcher *launcher = shedding->launcher;
    int error;

    if (!launcher->process_quota || launcher->weak)
        return 0;
    /* the change of uid made root the owner of /proc/self */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || unshare(CLONE_NEWUSER) != 0)
        return -errno;
    error = sys_write_file(launcher->host_proc, "self/setgroups", "deny");
    if (error == 0)
        error = write_map(launcher, "self/gid_map", (unsigned)launcher->gid);
    if (error == 0)
        error = write_map(launcher, "self/uid_map", (unsigned)launcher->uid);
    return error;
}

/* Hides our memory from other processes of this user. The exec'd program is visible again. */
static int shed_onlookers(const struct shedding *shedding) {
    (void)shedding;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ? -errno : 0;
}

static int shed_capabilities(const struct shedding *shedding) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    /* An ordinary user without a user namespace has no capabilities, and no_new_privs keeps it from getting any. */
    if (shedding->launcher->weak && !shedding->launcher->privileged)
        return syscall(SYS_capset, &head, none) != 0 ? -errno : 0;
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return -errno;
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                     SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED) != 0)
        return -errno;
    return syscall(SYS_capset, &head, none) != 0 ? -errno : 0;
}

static int shed_new_privileges(const struct shedding *shedding) {
    (void)shedding;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -errno : 0;
}

/* Confines the payload where there are no namespaces. A guard kills a run that outlives its slot; the death signal is
 * for the case that both are killed at once. */
static int shed_outside(const struct shedding *shedding) {
    if (shedding->confinement < 0)
        return 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -errno;
    return landlock_confine(shedding->confinement);
}

/* Last: from here on our own code, too, may only make the program's calls. */
static int shed_system_calls(const struct shedding *shedding) {
    const struct policy_program *policy = &shedding->launcher->policies[shedding->policy];
    struct sock_fprog program = {policy->length, (struct sock_filter *)(uintptr_t)policy->code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 ? -errno : 0;
}

static const struct {
    const char *name;
    int (*step)(const struct shedding *shedding);
} steps[] = {
    {"user", shed_user},
    {"process_quota", shed_process_quota},
    {"onlookers", shed_onlookers},
    {"capabilities", shed_capabilities},
    {"no_new_privileges", shed_new_privileges},
    {"landlock", shed_outside},
    {"seccomp", shed_system_calls},
};

int shed_rights(const struct launcher *launcher, enum doj_policy policy, int confinement, const char **step) {
    const struct shedding shedding = {launcher, policy, confinement};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int error = steps[i].step(&shedding);

        if (error != 0) {
            *step = steps[i].name;
            return error;
        }
    }
    return 0;
}
