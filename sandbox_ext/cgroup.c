/* Theory of operation
 *
 * If the node runs in a writable cgroup B of the v2 hierarchy with the memory and pids controllers:
 *
 *     B/deepoj-node          the node and its children (cgroup_base.c)
 *     B/deepoj.<pid>         one launcher's directory, flock'ed as long as the launcher or one of its slots lives
 *     B/deepoj.<pid>/<s>-<p>-<n>   one run: slot s, of process p, run n (cgroup_run.c)
 *
 * A killed launcher leaves its directory behind, but the kernel has released its lock. So the next launcher knows that
 * it may kill the processes in it and remove it. A live launcher keeps its lock, so two nodes can share B.
 *
 * If B has no controllers (v1 has them, and v2 is mounted beside it), each slot and its processes still get their own
 * group, B/deepoj.<pid>/<s>. It has no limits, but its cpu.stat includes processes that were never waited for. */
#define _GNU_SOURCE
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_internal.h"
#include "proctext.h"
#include "sys.h"

#define PREFIX "deepoj."
#define REMOVE_TRIES 200

static struct owned {
    int base; /* B, or -1 */
    char name[64];
} owned = {.base = -1};

/* ---- removing ---------------------------------------------------------------------------------------------------- */

int cgroup_remove_group(int parent, const char *name) {
    for (int i = 0; i < REMOVE_TRIES; i++) {
        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            return -errno;
        poll(NULL, 0, 5); /* killed processes are still exiting */
    }
    return -EBUSY;
}

/* Opens a directory below `parent` for reading its names. Returns NULL on failure. */
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
            (void)cgroup_remove_group(dirfd(list), entry->d_name);
    closedir(list);
    (void)cgroup_remove_group(parent, name);
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

/* ---- the launcher's directory ------------------------------------------------------------------------------------ */

/* Makes our directory below B and locks it. Returns its descriptor, or a negative errno. Keeps the descriptor of B, or
 * closes it on failure. Another launcher that starts at this moment may find our directory before it is locked, and
 * sweep it. Then we make it again. */
static int make_owned(int base) {
    int error = -EBUSY;

    /* no other live launcher of this pid namespace has this pid, and a dead one's directory was swept just now */
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
    int base = cgroup_find_base(why, size);
    int dir;
    int error;

    if (base < 0)
        return -1;
    sweep(base);
    error = cgroup_enable_controllers(base, io);
    if (error == -EBUSY) {
        error = cgroup_move_to_leaf(base);
        if (error == 0)
            error = cgroup_enable_controllers(base, io);
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
    error = cgroup_enable_controllers(dir, io);
    if (error != 0) {
        snprintf(why, size, "cgroup v2: cannot use the group: %s", strerror(-error));
        sys_close(&dir);
        cgroup_remove();
        return -1;
    }
    return dir;
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

int cgroup_prepare_counting(void) {
    char why[256];
    int base = cgroup_open_base(why, sizeof why);
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

uint64_t cgroup_usage_us(int cpu_stat) {
    char text[512];
    ssize_t size = pread(cpu_stat, text, sizeof text - 1, 0);

    if (size < 0)
        return 0;
    text[size] = 0;
    return proctext_number(text, "usage_usec");
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

void cgroup_remove(void) {
    if (owned.base < 0)
        return;
    remove_tree(owned.base, owned.name);
    sys_close(&owned.base);
}
