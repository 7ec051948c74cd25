/* Theory of operation
 *
 * Finds B, the cgroup that the node was started in (cgroup.c), and hands its controllers on to the groups below it.
 *
 * A group that delegates controllers must not contain processes. So the node is moved from B into B/deepoj-node, but
 * only together with its own descendants. If B contains other processes, this is reported, and cgroups are not used. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "proctext.h"
#include "sys.h"

#define LEAF "deepoj-node"

/* ---- finding B --------------------------------------------------------------------------------------------------- */

/* Returns whether the path leads to cgroup v2. Another mount may hide the one that mountinfo lists. */
static bool is_group_directory(const char *path) {
    struct statfs system;

    return statfs(path, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC;
}

/* Finds a mount point of the v2 hierarchy, and the part of the hierarchy that is mounted there. Of several mount points
 * it takes the first that is not hidden; of several mounts at that point, the last. */
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

int cgroup_open_base(char *why, size_t size) {
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
    /* an earlier launcher has moved the node into the leaf already */
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

int cgroup_find_base(char *why, size_t size) {
    char controllers[512];
    int fd = cgroup_open_base(why, size);

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

/* ---- handing controllers on -------------------------------------------------------------------------------------- */

/* Returns the parent of a process, or 0 when it is gone. */
static pid_t parent_of(pid_t pid) {
    struct proctext_stat stat;
    char path[64];
    char text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (sys_read_file(AT_FDCWD, path, text, sizeof text) < 0 || !proctext_stat(text, &stat))
        return 0;
    return stat.parent;
}

/* Returns whether a process is the node, which is our parent, or one of its descendants. */
static bool is_ours(pid_t pid) {
    pid_t node = getppid();

    for (int depth = 0; pid > 1 && depth < 64; depth++) {
        if (pid == node || pid == getpid())
            return true;
        pid = parent_of(pid);
    }
    return false;
}

int cgroup_move_to_leaf(int base) {
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

/* The cpu and io controllers may be missing. A run that needs a limit of theirs fails to write it, and reports that. */
int cgroup_enable_controllers(int base, bool io) {
    int error = sys_write_file(base, "cgroup.subtree_control", "+memory +pids");

    if (error == 0) /* not only for cpu.max: it also shares the cores fairly among runs */
        (void)sys_write_file(base, "cgroup.subtree_control", "+cpu");
    if (error == 0 && io)
        (void)sys_write_file(base, "cgroup.subtree_control", "+io");
    return error;
}
