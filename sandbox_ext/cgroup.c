/* Theory of operation
 *
 * If the node runs in a writable cgroup B of the v2 hierarchy with the memory and pids controllers:
 *
 *     B/deepoj-node          the node and its children: a group that delegates controllers must not contain processes
 *     B/deepoj.<pid>         one launcher's directory, flock'ed as long as the launcher or one of its slots lives
 *     B/deepoj.<pid>/<s>-<p>-<n>   one run: slot s, of process p, run n
 *
 * A killed launcher leaves its directory behind, but the kernel has released its lock. So the next launcher knows that
 * it may kill the processes in it and remove it. A live launcher keeps its lock, so two nodes can share B.
 *
 * If B has no controllers (v1 has them, and v2 is mounted beside it), each slot and its processes still get their own
 * group, B/deepoj.<pid>/<s>. It has no limits, but its cpu.stat includes processes that were never waited for.
 *
 * The node is moved only together with its own descendants. If B contains other processes, this is reported, and
 * cgroups are not used. */
#define _GNU_SOURCE
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "proctext.h"
#include "sys.h"

#define LEAF "deepoj-node"
#define PREFIX "deepoj."
#define REMOVE_TRIES 200
#define RETIRED_MAX 16U

static struct owned {
    int base; /* B, or -1 */
    char name[64];
} owned = {.base = -1};

/* ---- finding B --------------------------------------------------------------------------------------------------- */

/* False where another mount hides this one. */
static bool is_group_directory(const char *path) {
    struct statfs system;

    return statfs(path, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC;
}

/* Mount point of the v2 hierarchy and the part of it that is mounted there: the first that can be seen, and of several
 * at one place the last. */
static bool find_mount(char *point, char *root, size_t size) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    char next_point[1024];
    char next_root[1024];
    bool found = false;

    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (!proctext_group_mount(line, next_point, next_root, sizeof next_point) || !is_group_directory(next_point) ||
            (found && strcmp(point, next_point) != 0))
            continue;
        snprintf(point, size, "%s", next_point);
        snprintf(root, size, "%s", next_root);
        found = true;
    }
    fclose(file);
    return found;
}

static bool own_path(char *path, size_t size) {
    char text[4096];

    return sys_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) >= 0 && proctext_group(text, path, size);
}

static int open_base(char *why, size_t size) {
    char point[1024];
    char root[1024];
    char own[1024];
    char path[2200];
    const char *below = own;
    size_t length;
    char *tail;
    int fd;

    if (!find_mount(point, root, sizeof point) || !own_path(own, sizeof own)) {
        snprintf(why, size, "cgroup v2 is not mounted here");
        return -1;
    }
    length = strlen(root);
    if (length > 1 && strncmp(own, root, length) == 0 && (own[length] == '/' || own[length] == 0))
        below = own + length;
    snprintf(path, sizeof path, "%s%s", point, strcmp(below, "/") == 0 ? "" : below);
    /* an earlier opener has moved us into the leaf already */
    tail = strrchr(path, '/');
    if (tail != NULL && strcmp(tail, "/" LEAF) == 0)
        *tail = 0;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(why, size, "cgroup v2: cannot open %.200s: %s", path, strerror(errno));
        return -1;
    }
    if (faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) != 0 || faccessat(fd, ".", W_OK, AT_EACCESS) != 0) {
        snprintf(why, size, "cgroup v2: %.200s is not delegated to this user (systemd: Delegate=yes)", path);
        close(fd);
        return -1;
    }
    return fd;
}

/* B, if it has what limits take. */
static int find_base(char *why, size_t size) {
    char controllers[512];
    int fd = open_base(why, size);

    if (fd < 0)
        return -1;
    if (sys_read_file(fd, "cgroup.controllers", controllers, sizeof controllers) < 0 ||
        !proctext_has_word(controllers, "memory") || !proctext_has_word(controllers, "pids")) {
        snprintf(why, size, "cgroup v2: the memory and pids controllers are not available here");
        close(fd);
        return -1;
    }
    if (faccessat(fd, "cgroup.subtree_control", W_OK, AT_EACCESS) != 0) {
        snprintf(why, size, "cgroup v2: the controllers are not delegated to this user (systemd: Delegate=yes)");
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- making room ------------------------------------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid) {
    struct proctext_stat stat;
    char path[64];
    char text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sys_read_file(AT_FDCWD, path, text, sizeof text) < 0 || !proctext_stat(text, &stat))
        return 0;
    return stat.parent;
}

/* The node is our parent; its descendants are its own to move. */
static bool is_ours(pid_t pid) {
    pid_t node = getppid();

    for (int depth = 0; pid > 1 && depth < 64; depth++) {
        if (pid == node || pid == getpid())
            return true;
        pid = parent_of(pid);
    }
    return false;
}

/* Moves the node and its descendants from B into the leaf. -EBUSY when others are there too. */
static int move_to_leaf(int base) {
    char procs[16384];
    ssize_t size = sys_read_file(base, "cgroup.procs", procs, sizeof procs);
    bool others = false;
    char *rest = procs;

    if (size < 0)
        return (int)size;
    if (size == 0)
        return 0;
    for (char *word = strsep(&rest, "\n"); word != NULL; word = strsep(&rest, "\n"))
        if (*word != 0 && !is_ours((pid_t)atoi(word)))
            others = true;
    if (others)
        return -EBUSY;
    if (mkdirat(base, LEAF, 0755) != 0 && errno != EEXIST)
        return -errno;
    size = sys_read_file(base, "cgroup.procs", procs, sizeof procs);
    if (size < 0)
        return (int)size;
    rest = procs;
    for (char *word = strsep(&rest, "\n"); word != NULL; word = strsep(&rest, "\n")) {
        int error = *word == 0 ? 0 : sys_write_file(base, LEAF "/cgroup.procs", word);

        if (error != 0 && error != -ESRCH)
            return error;
    }
    return 0;
}

/* The last two may be missing: a run that is to have a limit by them finds that it cannot be written. */
static int enable_controllers(int base, bool io) {
    int error = sys_write_file(base, "cgroup.subtree_control", "+memory +pids");

    if (error == 0) /* not only for cpu.max: it shares the cores among runs */
        (void)sys_write_file(base, "cgroup.subtree_control", "+cpu");
    if (error == 0 && io)
        (void)sys_write_file(base, "cgroup.subtree_control", "+io");
    return error;
}

/* ---- removing ---------------------------------------------------------------------------------------------------- */

static int remove_group(int parent, const char *name) {
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            return -errno;
        poll(NULL, 0, 5); /* killed processes are still on their way out */
    }
    return -EBUSY;
}

/* A directory's entries, or NULL. */
static DIR *list_of(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (list == NULL)
        sys_close(&fd);
    return list;
}

/* Kills and removes a launcher's directory. If that fails, the next sweep tries again. */
static void remove_tree(int parent, const char *name) {
    DIR *list = list_of(parent, name);

    if (list == NULL)
        return;
    (void)sys_write_file(dirfd(list), "cgroup.kill", "1");
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            (void)remove_group(dirfd(list), entry->d_name);
    closedir(list);
    (void)remove_group(parent, name);
}

/* Locks a directory. Returns false if another launcher holds the lock, or has removed the directory meanwhile: the name
 * may then belong to a new directory. */
static bool lock(int base, const char *name, int dir) {
    struct stat opened;
    struct stat named;

    return flock(dir, LOCK_EX | LOCK_NB) == 0 && fstat(dir, &opened) == 0 && fstatat(base, name, &named, 0) == 0 &&
           opened.st_ino == named.st_ino;
}

/* Removes the directories of dead launchers: those whose lock is free. */
static void sweep(int base) {
    DIR *list = list_of(base, ".");

    if (list == NULL)
        return;
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        int dir;

        if (entry->d_type != DT_DIR || strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        dir = openat(base, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        if (lock(base, entry->d_name, dir))
            remove_tree(base, entry->d_name);
        close(dir);
    }
    closedir(list);
}

/* A directory of ours below B, locked. Takes the descriptor of B, and closes it if there is none. Another launcher that
 * starts at this moment may see ours before it is locked and sweep it as a dead one's: then we make it again. */
static int make_owned(int base) {
    int error = -EBUSY;

    /* the pid is unique among live launchers of this pid namespace; a clash with a dead one was swept just now */
    snprintf(owned.name, sizeof owned.name, PREFIX "%d", (int)getpid());
    for (int i = 0; i < REMOVE_TRIES; i++) {
        int dir;

        if (mkdirat(base, owned.name, 0755) != 0 && (errno != EEXIST || i == 0)) {
            error = -errno;
            break;
        }
        dir = openat(base, owned.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0 && lock(base, owned.name, dir)) {
            owned.base = base;
            return dir;
        }
        sys_close(&dir);
        poll(NULL, 0, 5);
    }
    close(base);
    return error;
}

int cgroup_prepare(bool io, char *why, size_t size) {
    int base = find_base(why, size);
    int dir;
    int error;

    if (base < 0)
        return -1;
    sweep(base);
    error = enable_controllers(base, io);
    if (error == -EBUSY) {
        error = move_to_leaf(base);
        if (error == 0)
            error = enable_controllers(base, io);
    }
    if (error != 0) {
        snprintf(why, size, "cgroup v2: cannot hand the controllers on to runs: %s%s", strerror(-error),
                 error == -EBUSY ? " (other processes share this cgroup; give the node one of its own)" : "");
        close(base);
        return -1;
    }
    dir = make_owned(base);
    if (dir < 0) {
        snprintf(why, size, "cgroup v2: cannot make a group: %s", strerror(-dir));
        return -1;
    }
    error = enable_controllers(dir, io);
    if (error != 0) {
        snprintf(why, size, "cgroup v2: cannot use the group: %s", strerror(-error));
        sys_close(&dir);
        cgroup_remove();
        return -1;
    }
    return dir;
}

int cgroup_prepare_counting(void) {
    char why[256];
    int base = open_base(why, sizeof why);
    int dir;

    if (base < 0)
        return -1;
    sweep(base);
    dir = make_owned(base);
    return dir < 0 ? -1 : dir;
}

int cgroup_count_slot(int parent, unsigned slot) {
    char name[32];
    int dir;
    int stat = -1;

    snprintf(name, sizeof name, "%u", slot);
    if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
        return -1;
    dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    if (sys_write_file(dir, "cgroup.procs", "0") == 0)
        stat = openat(dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
    close(dir);
    return stat;
}

void cgroup_remove(void) {
    if (owned.base < 0)
        return;
    remove_tree(owned.base, owned.name);
    sys_close(&owned.base);
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

static int write_number(int dir, const char *file, uint64_t number) {
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return sys_write_file(dir, file, text);
}

int cgroup_run_create(int parent, unsigned slot, struct cgroup_run *run) {
    static unsigned long serial;
    int error;

    *run = (struct cgroup_run){.dir = -1, .cpu_stat = -1, .memory_current = -1};
    /* the pid, since a slot that was renewed counts from the start */
    snprintf(run->name, sizeof run->name, "%u-%d-%lu", slot, (int)getpid(), serial++);
    if (mkdirat(parent, run->name, 0755) != 0) {
        run->name[0] = 0;
        return -errno;
    }
    run->dir = openat(parent, run->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->dir < 0)
        return -errno;
    run->cpu_stat = openat(run->dir, "cpu.stat", O_RDONLY | O_CLOEXEC);
    if (run->cpu_stat < 0)
        return -errno;
    if (faccessat(run->dir, "memory.peak", R_OK, 0) != 0)
        run->memory_current = openat(run->dir, "memory.current", O_RDONLY | O_CLOEXEC);
    error = write_number(run->dir, "memory.oom.group", 1);
    if (error == 0) {
        error = write_number(run->dir, "memory.swap.max", 0);
        if (error == -ENOENT) /* a kernel without swap accounting */
            error = 0;
    }
    return error;
}

int cgroup_run_limit(struct cgroup_run *run, const struct doj_limits *limits) {
    int error = write_number(run->dir, "memory.max", limits->memory_bytes);

    return error != 0 ? error : write_number(run->dir, "pids.max", limits->processes);
}

int cgroup_run_rate(const struct cgroup_run *run, const struct cgroup_rates *rates) {
    int error = rates->cpu_max == NULL ? 0 : sys_write_file(run->dir, "cpu.max", rates->cpu_max);

    for (size_t i = 0; i < rates->io_max_count && error == 0; i++)
        error = sys_write_file(run->dir, "io.max", rates->io_max[i]);
    return error;
}

uint64_t cgroup_usage_us(int cpu_stat) {
    char text[512];
    ssize_t size = pread(cpu_stat, text, sizeof text - 1, 0);

    if (size < 0)
        return 0;
    text[size] = 0;
    return proctext_number(text, "usage_usec");
}

uint64_t cgroup_run_sample(struct cgroup_run *run) {
    char text[64];
    ssize_t size;

    if (run->memory_current >= 0 && (size = pread(run->memory_current, text, sizeof text - 1, 0)) > 0) {
        uint64_t now;

        text[size] = 0;
        now = strtoull(text, NULL, 10);
        run->peak_bytes = now > run->peak_bytes ? now : run->peak_bytes;
    }
    return cgroup_usage_us(run->cpu_stat);
}

void cgroup_run_kill(const struct cgroup_run *run) {
    if (run->dir >= 0)
        (void)sys_write_file(run->dir, "cgroup.kill", "1"); /* the init is asked to kill as well */
}

int cgroup_run_collect(struct cgroup_run *run, uint64_t *cpu_us, uint64_t *peak_bytes, uint32_t *oom_kill,
                       uint32_t *foreign_kill) {
    char text[512];
    uint32_t killed;
    ssize_t size;
    bool own;

    if (pread(run->cpu_stat, text, 1, 0) <= 0)
        return -EIO; /* an end of file has no errno */
    *cpu_us = cgroup_run_sample(run);
    size = sys_read_file(run->dir, "memory.events", text, sizeof text);
    if (size < 0)
        return (int)size;
    killed = (uint32_t)proctext_number(text, "oom_kill"); /* at any limit, or none     */
    own = proctext_number(text, "oom") > 0;               /* at this group's limit */
    *oom_kill = own ? killed : 0;
    *foreign_kill = own ? 0 : killed;
    *peak_bytes = run->peak_bytes;
    if (run->memory_current >= 0)
        return 0;
    size = sys_read_file(run->dir, "memory.peak", text, sizeof text);
    if (size > 0)
        *peak_bytes = strtoull(text, NULL, 10);
    return size > 0 ? 0 : size < 0 ? (int)size : -EIO;
}

static char retired[RETIRED_MAX][sizeof((struct cgroup_run *)0)->name];
static size_t retired_count;

void cgroup_run_retire(struct cgroup_run *run) {
    sys_close(&run->memory_current);
    sys_close(&run->cpu_stat);
    sys_close(&run->dir);
    if (run->name[0] != 0 && retired_count < RETIRED_MAX)
        memcpy(retired[retired_count++], run->name, sizeof run->name);
    run->name[0] = 0;
}

void cgroup_run_sweep(int parent, bool last) {
    size_t left = 0;

    for (size_t i = 0; i < retired_count; i++) {
        if (unlinkat(parent, retired[i], AT_REMOVEDIR) == 0 || errno != EBUSY)
            continue;
        /* killed processes are still exiting: wait for them if the list is half full, or if this is the last chance */
        if ((last || retired_count > RETIRED_MAX / 2) && remove_group(parent, retired[i]) == 0)
            continue;
        if (left != i)
            memcpy(retired[left], retired[i], sizeof retired[i]);
        left++;
    }
    retired_count = left;
}
