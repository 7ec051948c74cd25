/* Theory of operation
 *
 * At `weak` a launcher has one directory on the host, its home, which contains the directories of its slots. A lock
 * marks it as in use. The kernel releases the lock however the launcher ends, so the next launcher knows which homes it
 * may remove. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bare.h"
#include "file_tree.h"
#include "sys.h"

#define HOME_PREFIX "deepoj-weak."
#define HOME_TRIES 16U

/* Returns whether programs can be written to and started from the directory. */
static bool is_fit(const char *directory) {
    struct statvfs system;

    return access(directory, W_OK | X_OK) == 0 && statvfs(directory, &system) == 0 &&
           (system.f_flag & (ST_NOEXEC | ST_RDONLY)) == 0;
}

/* Removes the directories of dead launchers. A live launcher holds a lock on its directory. */
static void sweep(const char *directory) {
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = top < 0 ? NULL : file_tree_open(top);
    const char *name;

    while (stream != NULL && (name = file_tree_next(stream)) != NULL) {
        struct stat status;
        int fd;

        if (strncmp(name, HOME_PREFIX, sizeof HOME_PREFIX - 1) != 0)
            continue;
        fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &status) == 0 && status.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)file_tree_remove(top, name); /* a directory that cannot be removed does no harm */
        sys_close(&fd);
    }
    if (stream != NULL)
        closedir(stream);
    sys_close(&top);
}

/* Makes a home and locks it. Returns its descriptor, or -EAGAIN when another launcher swept it before it was locked. */
static int make_home(const char *place, char *path, size_t size) {
    struct stat ours;
    struct stat named;
    int error = 0;
    int fd;

    snprintf(path, size, "%s/" HOME_PREFIX "XXXXXX", place);
    if (mkdtemp(path) == NULL)
        return -errno;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? -EAGAIN : -errno;
    else if (fstat(fd, &ours) != 0 || stat(path, &named) != 0 || named.st_ino != ours.st_ino)
        error = -EAGAIN;
    else if (fchmod(fd, 0711) != 0) /* other users may pass through it, but not list it */
        error = -errno;
    if (error != 0)
        sys_close(&fd);
    return error != 0 ? error : fd;
}

int bare_home(char *path, size_t size) {
    static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};
    int fd = -EACCES;

    for (size_t i = 0; i < sizeof places / sizeof *places && fd < 0; i++) {
        if (!is_fit(places[i]))
            continue;
        sweep(places[i]);
        for (unsigned tries = 0; tries < HOME_TRIES; tries++) {
            fd = make_home(places[i], path, size);
            if (fd != -EAGAIN)
                break;
        }
    }
    return fd;
}

void bare_remove_home(const char *path) { (void)file_tree_remove(AT_FDCWD, path); }
