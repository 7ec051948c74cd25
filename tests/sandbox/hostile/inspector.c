/* An innocent program that tells everything it can see, in an order and a form that do not change from run to run: what
 * it prints in a fresh sandbox it must print, byte for byte, after and beside every other program.
 *
 * Left out is what differs between any two honest runs: process numbers, addresses, inode numbers, clocks. All output
 * is collected and written at the end, so that the first look at stdout sees it as it was given. */
#include "hostile.h"

#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/utsname.h>

#define REPORT_BYTES (512UL * 1024UL)

static char report[REPORT_BYTES];
static size_t used;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...) {
    va_list values;

    va_start(values, format);
    if (used < REPORT_BYTES)
        used += (size_t)vsnprintf(report + used, REPORT_BYTES - used, format, values);
    va_end(values);
}

static char *load(const char *path) {
    static char text[65536];
    int fd = open(path, O_RDONLY);
    size_t size = 0;
    ssize_t count;

    if (fd < 0) {
        snprintf(text, sizeof text, "(errno %d)\n", errno);
        return text;
    }
    while (size < sizeof text - 1 && (count = read(fd, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)count;
    text[size] = 0;
    close(fd);
    return text;
}

static void tell_file(const char *path) { tell("== %s\n%s\n", path, load(path)); }

/* ---- streams ----------------------------------------------------------------------------------------------------- */

static void tell_descriptors(void) {
    for (int fd = 0; fd < 1024; fd++) {
        char path[32];
        char target[256];
        struct stat status;
        int waiting = -1;
        ssize_t length;

        if (fcntl(fd, F_GETFD) < 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strchr(target, ':') != NULL)
            *strchr(target, ':') = 0; /* and with it the inode */
        if (fstat(fd, &status) != 0)
            status = (struct stat){.st_mode = 0};
        ioctl(fd, FIONREAD, &waiting);
        tell("fd %d %s mode %o uid %d size %ld flags %o cloexec %d pipe %d owner %d signal %d lease %d offset %ld "
             "waiting %d\n",
             fd, target, status.st_mode, (int)status.st_uid, (long)status.st_size, fcntl(fd, F_GETFL),
             fcntl(fd, F_GETFD), fcntl(fd, F_GETPIPE_SZ), fcntl(fd, F_GETOWN), fcntl(fd, F_GETSIG),
             fcntl(fd, F_GETLEASE), (long)lseek(fd, 0, SEEK_CUR), waiting);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int compare(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void tell_tree(const char *path, int depth) {
    static const size_t most = 4096;
    char **names = calloc(most, sizeof *names);
    size_t count = 0;
    DIR *directory = opendir(path);

    if (directory == NULL || names == NULL) {
        tell("%s (errno %d)\n", path, errno);
        free(names);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL && count < most; entry = readdir(directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names[count++] = strdup(entry->d_name);
    closedir(directory);
    qsort(names, count, sizeof *names, compare);
    for (size_t i = 0; i < count; i++) {
        char below[4096];
        char target[256] = "";
        struct stat status;

        snprintf(below, sizeof below, "%s/%s", strcmp(path, "/") == 0 ? "" : path, names[i]);
        if (lstat(below, &status) != 0) {
            tell("%s (errno %d)\n", below, errno);
        } else {
            ssize_t length = readlink(below, target, sizeof target - 1);

            target[length > 0 ? length : 0] = 0;
            /* sizes of directories are the host's business */
            tell("%s %o uid %d gid %d links %ld size %ld device %lx %s\n", below, status.st_mode, (int)status.st_uid,
                 (int)status.st_gid, S_ISDIR(status.st_mode) ? 0L : (long)status.st_nlink,
                 S_ISREG(status.st_mode) ? (long)status.st_size : 0L, (unsigned long)status.st_rdev, target);
            if (depth > 0 && S_ISDIR(status.st_mode))
                tell_tree(below, depth - 1);
        }
        free(names[i]);
    }
    free(names);
}

static void tell_file_system(const char *path, int exact) {
    struct statfs system;
    struct stat status;

    if (statfs(path, &system) != 0 || stat(path, &status) != 0) {
        tell("file system %s (errno %d)\n", path, errno);
        return;
    }
    tell("file system %s type %lx flags %lx mode %o uid %d gid %d", path, (unsigned long)system.f_type,
         (unsigned long)system.f_flags, status.st_mode, (int)status.st_uid, (int)status.st_gid);
    if (exact) /* resources that earlier runs did not give back would be missing here */
        tell(" links %ld blocks %ld free %ld inodes %ld free %ld", (long)status.st_nlink, (long)system.f_blocks,
             (long)system.f_bfree, (long)system.f_files, (long)system.f_ffree);
    tell("\n");
}

static void tell_files(void) {
    char cwd[4096];

    tell("cwd %s umask %o\n", getcwd(cwd, sizeof cwd) == NULL ? "(none)" : cwd, umask(022));
    umask(022);
    tell_file_system("/w", 1);
    tell_file_system("/", 1);
    tell_file_system("/usr", 0);
    tell_file_system("/proc", 0);
    tell_tree("/w", 64);
    tell_tree("/tmp/", 64);
    tell_tree("/dev/shm/", 64);
    tell_tree("/", 0);
    tell_tree("/dev", 2);
    tell_tree("/etc", 0);
    tell("var/tmp %d, sys %d, run %d\n", access("/var/tmp", F_OK), access("/sys", F_OK), access("/run", F_OK));
}

/* Without the numbers that differ in each mount namespace. */
static void tell_mounts(void) {
    char *line = load("/proc/self/mountinfo");

    tell("== mounts\n");
    for (char *next; *line != 0; line = next) {
        char *rest = line;

        next = strchr(line, '\n');
        if (next == NULL)
            break;
        *next++ = 0;
        for (int field = 0; field < 3 && rest != NULL; field++)
            rest = strchr(rest + 1, ' ');
        tell("%s\n", rest == NULL ? line : rest);
    }
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

static void tell_processes(void) {
    DIR *directory = opendir("/proc");
    int others = 0;
    int init = 0;
    pid_t self = getpid();

    if (directory == NULL) {
        tell("proc (errno %d)\n", errno);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        int pid = atoi(entry->d_name);

        init += pid == 1;
        others += pid > 1 && pid != self;
        if (pid > 1 && pid != self)
            tell("sees process %d\n", pid);
    }
    closedir(directory);
    tell("processes init %d others %d\n", init, others);
    /* also the ones that a listing hides */
    for (pid_t pid = 2; pid < 1000; pid++)
        if (pid != self && kill(pid, 0) == 0)
            tell("reaches process %d\n", (int)pid);
    errno = 0;
    kill(1, 0);
    tell("init answers %d\n", errno);
    tell("first %d parent %d leads session %d leads group %d\n", self == 1, (int)getppid(), getsid(0) == self,
         getpgrp() == self);
}

static void tell_status(void) {
    static const char *const fields[] = {
        "Umask", "TracerPid", "Uid", "Gid", "FDSize", "Groups", "Kthread", "Threads", "SigQ", "SigPnd", "ShdPnd",
        "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
        "Seccomp_filters", "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed", "Mems_allowed",
        "THP_enabled", "untag_mask", "CoreDumping", "VmLck", "VmPin", "VmSwap", "HugetlbPages",
    };
    char *line = load("/proc/self/status");

    tell("== status\n");
    for (char *next; *line != 0; line = next) {
        next = strchr(line, '\n');
        if (next == NULL)
            break;
        *next++ = 0;
        for (size_t i = 0; i < COUNT(fields); i++)
            if (strncmp(line, fields[i], strlen(fields[i])) == 0 && line[strlen(fields[i])] == ':')
                tell("%s\n", line);
    }
}

static void tell_signals(void) {
    struct itimerval timer;
    sigset_t set;
    stack_t stack;

    for (int number = 1; number < 65; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) == 0 && (action.sa_handler != SIG_DFL || action.sa_flags != 0))
            tell("signal %d is not default\n", number);
    }
    sigprocmask(SIG_BLOCK, NULL, &set);
    for (int number = 1; number < 65; number++)
        if (sigismember(&set, number) == 1)
            tell("signal %d is blocked\n", number);
    sigpending(&set);
    for (int number = 1; number < 65; number++)
        if (sigismember(&set, number) == 1)
            tell("signal %d is pending\n", number);
    sigaltstack(NULL, &stack);
    tell("alternate stack %d alarm %u", stack.ss_flags, alarm(0));
    for (int which = 0; which < 3; which++) {
        getitimer((__itimer_which_t)which, &timer);
        tell(" timer %ld", (long)timer.it_value.tv_sec);
    }
    tell("\n");
}

static void tell_limits(void) {
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit now = {0, 0};

        getrlimit((__rlimit_resource_t)resource, &now);
        tell("limit %d %lu %lu\n", resource, (unsigned long)now.rlim_cur, (unsigned long)now.rlim_max);
    }
}

static void tell_identity(void) {
    uint32_t head[2] = {0x20080522, 0};
    uint32_t data[6] = {0};
    uid_t uids[3];
    gid_t gids[3];
    gid_t groups[64];
    struct utsname names;
    struct sched_param priority = {0};
    cpu_set_t cpus;

    getresuid(&uids[0], &uids[1], &uids[2]);
    getresgid(&gids[0], &gids[1], &gids[2]);
    tell("uid %d %d %d gid %d %d %d groups %d\n", uids[0], uids[1], uids[2], gids[0], gids[1], gids[2],
         getgroups(64, groups));
    syscall(SYS_capget, head, data);
    tell("capabilities %x %x %x %x %x %x\n", data[0], data[1], data[2], data[3], data[4], data[5]);
    uname(&names);
    tell("host %s domain %s system %s %s\n", names.nodename, names.domainname, names.sysname, names.machine);
    sched_getparam(0, &priority);
    sched_getaffinity(0, sizeof cpus, &cpus);
    errno = 0;
    tell("nice %d scheduler %d priority %d cpus %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
         priority.sched_priority, CPU_COUNT(&cpus));
    tell("personality %lx secure %lu\n", syscall(SYS_personality, 0xffffffffUL), getauxval(AT_SECURE));
    for (int option = 1; option < 80; option++) /* those that ask; the filter refuses the others or it is its business */
        if (option == PR_GET_PDEATHSIG || option == PR_GET_DUMPABLE || option == PR_GET_KEEPCAPS ||
            option == PR_GET_TIMERSLACK || option == PR_GET_SECUREBITS || option == PR_GET_NO_NEW_PRIVS ||
            option == PR_GET_SECCOMP || option == PR_GET_THP_DISABLE || option == PR_GET_CHILD_SUBREAPER) {
            int value = 0;
            int pointer = option == PR_GET_PDEATHSIG || option == PR_GET_CHILD_SUBREAPER;
            long result = syscall(SYS_prctl, option, pointer ? (long)&value : 0L, 0, 0, 0);

            tell("prctl %d %ld %d\n", option, result < 0 ? -errno : result, value);
        }
    for (char **variable = environ; *variable != NULL; variable++)
        tell("environment %s\n", *variable);
}

/* ---- what a run shares with others of its user ------------------------------------------------------------------- */

static void tell_shares(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0hostile"};
    int fd = 0;
    char room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int ends[2] = {-1, -1};
    timer_t timer;

    tell("pipe %d", pipe(ends));
    tell(" bytes %d", fcntl(ends[0], F_GETPIPE_SZ));
    tell(" grown %d\n", fcntl(ends[0], F_SETPIPE_SZ, 1 << 18));
    close(ends[0]);
    close(ends[1]);
    tell("timer %d\n", timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ? errno : 0);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0) {
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
        tell("passing a descriptor %d\n", sendmsg(ends[0], &message, 0) < 0 ? errno : 0);
        close(ends[0]);
        close(ends[1]);
    }
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    tell("abstract name %d\n", connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0);
    tell("bind it %d\n", bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ? errno : 0);
    close(fd);
    tell("shm %ld keyctl %ld queue %ld\n", syscall(SYS_shmget, 0x4a0d, 1, 0), syscall(SYS_keyctl, 0, -3, 0, 0, 0),
         syscall(SYS_mq_open, "hostile", O_RDWR, 0, NULL));
}

/* Without addresses and inode numbers. */
static void tell_sockets(void) {
    char *line = load("/proc/net/unix");
    char *in_use;

    tell("== sockets\n");
    for (char *next; *line != 0; line = next) {
        unsigned references;
        unsigned flags;
        unsigned type;
        unsigned state;
        int path = 0;

        next = strchr(line, '\n');
        if (next == NULL)
            break;
        *next++ = 0;
        if (sscanf(line, "%*x: %x %*x %x %x %x %*u%n", &references, &flags, &type, &state, &path) == 4)
            tell("socket references %u flags %x type %u state %u%s\n", references, flags, type, state, line + path);
    }
    in_use = load("/proc/net/sockstat"); /* only its first line is about this namespace alone */
    in_use[strcspn(in_use, "\n")] = 0;
    tell("%s\n", in_use);
}

int main(int argc, char **argv) {
    static const char *const files[] = {
        "/proc/self/limits", "/proc/self/cgroup", "/proc/self/oom_score_adj", "/proc/self/timerslack_ns",
        "/proc/self/personality", "/proc/self/coredump_filter", "/proc/self/uid_map", "/proc/self/gid_map",
        "/proc/self/setgroups", "/proc/self/timens_offsets", "/proc/self/loginuid", "/proc/self/sessionid",
        "/proc/self/comm", "/proc/self/cpuset", "/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg",
        "/proc/locks", "/proc/net/dev", "/proc/net/route", "/proc/net/tcp",
        "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/shmmax",
        "/proc/sys/fs/mqueue/msg_max", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf",
    };

    tell_descriptors();
    for (int i = 0; i < argc; i++)
        tell("argument %s\n", argv[i]);
    tell_signals();
    tell_identity();
    tell_limits();
    tell_processes();
    tell_files();
    tell_mounts();
    tell_status();
    tell_shares();
    tell_sockets();
    for (size_t i = 0; i < COUNT(files); i++)
        tell_file(files[i]);
    for (size_t at = 0; at < used && at < REPORT_BYTES;) {
        ssize_t count = write(1, report + at, used - at);

        if (count <= 0)
            return 4;
        at += (size_t)count;
    }
    return used < REPORT_BYTES ? 0 : 5;
}
