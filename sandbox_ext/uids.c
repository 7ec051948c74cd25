/* Theory of operation
 *
 * The uids of a launcher's slots, and what the kernel counts by user.
 *
 * The kernel counts pages of pipes, descriptors in flight, processes and more for a uid over the whole host, in all
 * user namespaces together. So where the launcher is root, each slot has its own uid: a run that takes all
 * takes it from its own slot alone. Launchers lock the uids that they use, one byte of a file for each; the kernel
 * releases the locks however a launcher ends. (Containers that share a kernel, but no user namespace and no file, each
 * need their own run_as_uid.)
 *
 * A launcher at `weak` that was killed leaves processes, which count until their parent has waited for them. Their
 * parent then is process 1, and in a container that may be a program that waits for no child. So launchers skip uids
 * that a process has, even one that has ended. */
#define _GNU_SOURCE
#include "uids.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_tree.h"
#include "proctext.h"
#include "sys.h"

#define UIDS_NAME "deepoj-uids"
#define UID_TRIES 64U
#define UID_SPAN 8192U /* the lowest uid that is tried is so far below the first */

/* Opens the file of locked uids: all launchers of a host must open the same one. In a directory that every user may
 * write to, another user may have made a file of this name. That one is skipped. */
static int open_uids(void) {
    static const char *const places[] = {"/run/" UIDS_NAME, "/tmp/" UIDS_NAME, "/var/tmp/" UIDS_NAME, "/dev/shm/" UIDS_NAME};
    struct stat status;
    int fd = -1;

    for (size_t i = 0; i < sizeof places / sizeof *places && fd < 0; i++) {
        fd = open(places[i], O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid()))
            sys_close(&fd);
    }
    return fd < 0 ? -EACCES : fd;
}

/* Finds the next process in a listing of /proc, and its uid. Returns its number as text, or NULL at the end. */
static const char *next_process(DIR *stream, int proc, uid_t *uid) {
    const char *name;
    struct stat status;

    while (stream != NULL && (name = file_tree_next(stream)) != NULL)
        if (isdigit((unsigned char)name[0]) && fstatat(proc, name, &status, 0) == 0) {
            *uid = status.st_uid;
            return name;
        }
    return NULL;
}

/* Marks the uids that our user namespace does not have. A container may have few of them. */
static void find_unmapped(int proc, uid_t top, bool used[UID_SPAN]) {
    char text[4096];
    const char *at = text;
    unsigned first;
    unsigned count;
    int length;

    memset(used, true, UID_SPAN * sizeof *used);
    if (sys_read_file(proc, "self/uid_map", text, sizeof text) <= 0)
        text[0] = 0;
    for (; sscanf(at, "%u %*u %u%n", &first, &count, &length) == 2; at += length)
        for (unsigned i = 0; i < UID_SPAN && i < top; i++)
            used[i] = used[i] && top - 1 - i - first >= count; /* unsigned: true below `first`, too */
}

/* Sets used[i] to whether a process has the uid top - 1 - i, or our user namespace has no such uid. */
static void find_used(int proc, uid_t top, bool used[UID_SPAN]) {
    DIR *stream = file_tree_open(proc);
    uid_t uid;

    find_unmapped(proc, top, used);
    while (next_process(stream, proc, &uid) != NULL)
        if (uid < top && top - 1 - uid < UID_SPAN)
            used[top - 1 - uid] = true;
    if (stream != NULL)
        closedir(stream);
}

/* Returns the beginning of the first `count` unused places in a row, from `from` on; UID_SPAN if there are none. */
static unsigned find_unused(const bool used[UID_SPAN], unsigned from, unsigned count) {
    unsigned unused = 0;

    for (unsigned i = from; i < UID_SPAN; i++) {
        unused = used[i] ? 0 : unused + 1;
        if (unused == count)
            return i + 1 - count;
    }
    return UID_SPAN;
}

/* The locks are the process's (F_SETLK). /proc/locks shows locks of open files in every pid namespace, so every program
 * would see them. Processes are looked for when the lock is held, so that no live launcher can start one afterwards. */
int uids_take(int proc, uid_t *uid, unsigned count) {
    static bool used[UID_SPAN];
    const uid_t top = *uid;
    int fd = open_uids();
    int error = -EUSERS;
    unsigned skipped = 0;

    if (fd < 0)
        return fd;
    for (unsigned tries = 0; tries < UID_TRIES && skipped < UID_SPAN && top > skipped + count + 1; tries++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = (off_t)count};

        *uid = top - skipped;
        lock.l_start = (off_t)(*uid - count);
        if (fcntl(fd, F_SETLK, &lock) == 0) {
            find_used(proc, top, used);
            if (find_unused(used, skipped, count) == skipped)
                return fd;
            lock.l_type = F_UNLCK;
            (void)fcntl(fd, F_SETLK, &lock);
        } else if (errno != EAGAIN && errno != EACCES) {
            error = -errno;
            break;
        } else if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
            skipped = top - (unsigned)lock.l_start;
        }
        skipped = find_unused(used, skipped, count);
    }
    sys_close(&fd);
    return error;
}

/* RLIMIT_NPROC bounds all tasks of a user together, so child.c adds this number to the run's limit. */
unsigned uids_count_tasks(const struct launcher *launcher) {
    DIR *stream = file_tree_open(launcher->host_proc);
    const char *name;
    unsigned tasks = 0;
    uid_t uid;

    while ((name = next_process(stream, launcher->host_proc, &uid)) != NULL) {
        struct proctext_stat figures;
        char path[288];
        char text[1024];

        if (uid != launcher->uid)
            continue;
        snprintf(path, sizeof path, "%s/stat", name);
        if (sys_read_file(launcher->host_proc, path, text, sizeof text) > 0 && proctext_stat(text, &figures))
            tasks += figures.threads;
    }
    if (stream != NULL)
        closedir(stream);
    return tasks;
}
