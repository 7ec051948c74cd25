/* See file_tree.h. */
#define _GNU_SOURCE
#include "file_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

DIR *file_tree_open(int directory) {
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && stream == NULL)
        close(fd);
    return stream;
}

const char *file_tree_next(DIR *stream) {
    const struct dirent *entry;

    do
        entry = readdir(stream);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

/* Lets us enter a directory of our own user, from which a program may have removed the permissions. */
static void open_up(int directory, const char *name) {
    if (fchmodat(directory, name, 0700, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* the next call on it fails, and reports that */
}

static int open_below(int directory, const char *name) {
    int fd;

    open_up(directory, name);
    fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Moves all directories that are in a directory to `top`, removes all other files in it, and then the directory. */
static int flatten(int top, const char *name, unsigned *number) {
    int fd = open_below(top, name);
    DIR *stream = fd < 0 ? NULL : file_tree_open(fd);
    const char *below;
    int error = stream == NULL ? (fd < 0 ? fd : -errno) : 0;

    while (error == 0 && (below = file_tree_next(stream)) != NULL) {
        char free_name[32];

        if (unlinkat(fd, below, 0) == 0 || unlinkat(fd, below, AT_REMOVEDIR) == 0)
            continue;
        open_up(fd, below);
        do
            snprintf(free_name, sizeof free_name, "..%u", (*number)++);
        while ((error = renameat2(fd, below, top, free_name, RENAME_NOREPLACE) == 0 ? 0 : -errno) == -EEXIST);
    }
    if (stream != NULL)
        closedir(stream);
    sys_close(&fd);
    if (error == 0 && unlinkat(top, name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY) /* the next pass removes it */
        error = -errno;
    return error;
}

/* Empties a directory of any depth, without recursion and without paths longer than a name. */
static int wipe(int top) {
    unsigned number = 0;
    bool any = true;
    int error = 0;

    while (any && error == 0) {
        DIR *stream = file_tree_open(top);
        const char *name;

        if (stream == NULL)
            return -errno;
        any = false;
        while (error == 0 && (name = file_tree_next(stream)) != NULL) {
            any = true;
            if (unlinkat(top, name, 0) != 0 && unlinkat(top, name, AT_REMOVEDIR) != 0)
                error = flatten(top, name, &number);
        }
        closedir(stream);
    }
    return error;
}

int file_tree_remove(int directory, const char *name) {
    int fd = open_below(directory, name);
    int error = fd < 0 ? fd : wipe(fd);

    sys_close(&fd);
    if (error == 0 && unlinkat(directory, name, AT_REMOVEDIR) != 0)
        error = -errno;
    return error == -ENOENT ? 0 : error;
}
