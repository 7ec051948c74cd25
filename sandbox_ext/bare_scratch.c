/* Theory of operation
 *
 * The scratch of a run at `weak` is a directory of the host, and no file system of its own bounds it. Its usage is
 * measured by scanning (bare_is_within), including removed files (unlinked.c), and RLIMIT_FSIZE bounds each file.
 *
 * It is replaced by a new one, with a new Landlock ruleset that allows it, if a run has left any change in it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare.h"
#include "bare_internal.h"
#include "file_tree.h"
#include "landlock.h"
#include "scratch.h"
#include "sys.h"
#include "unlinked.h"

#define MAX_DEPTH 64U
#define LOOK_US UINT64_C(20000)

/* ---- making ------------------------------------------------------------------------------------------------------ */

int bare_make_directory(const struct cell *cell, const char *name, mode_t mode, bool payloads) {
    const struct launcher *launcher = cell->launcher;
    int top = open(cell->bare.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = top < 0 ? -errno : file_tree_remove(top, name);
    int fd = -1;

    if (error == 0 && mkdirat(top, name, mode) != 0)
        error = -errno;
    if (error == 0 && (fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        error = -errno;
    if (error == 0 && payloads && geteuid() != launcher->uid && fchown(fd, launcher->uid, launcher->gid) != 0)
        error = -errno;
    sys_close(&top);
    if (error != 0)
        sys_close(&fd);
    return error != 0 ? error : fd;
}

int bare_furnish(struct cell *cell) {
    sys_close(&cell->scratch);
    sys_close(&cell->bare.confinement);
    cell->scratch = bare_make_directory(cell, "w", 0700, true);
    if (cell->scratch < 0)
        return cell->scratch;
    /* a root that lacks rights could not measure and empty a directory of another user */
    if (faccessat(cell->scratch, ".", R_OK | W_OK | X_OK, 0) != 0)
        return -errno;
    if (fchdir(cell->scratch) != 0 || fstat(cell->scratch, &cell->scratch_root) != 0)
        return -errno;
    cell->bare.confinement = landlock_make(cell->launcher, cell->policy, cell->store, cell->scratch);
    return cell->bare.confinement < 0 ? cell->bare.confinement : 0;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

struct room {
    uint64_t bytes;
    unsigned inodes;
};

/* Subtracts all files below the directory from `room`. Returns false when they do not fit. */
static bool fits(int directory, unsigned depth, struct room *room) {
    DIR *stream = file_tree_open(directory);
    const char *name;
    bool good = true;

    if (stream == NULL) /* removed meanwhile, or without permissions for its owner: no process can add files */
        return true;
    while (good && (name = file_tree_next(stream)) != NULL) {
        struct stat status;
        uint64_t bytes;
        int fd;

        if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes = (uint64_t)status.st_blocks * 512U;
        good = room->inodes > 0 && room->bytes >= bytes && depth < MAX_DEPTH;
        if (!good)
            break;
        room->inodes--;
        room->bytes -= bytes;
        if (!S_ISDIR(status.st_mode))
            continue;
        fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        good = fd < 0 || fits(fd, depth + 1, room);
        sys_close(&fd);
    }
    closedir(stream);
    return good;
}

static bool is_within(const struct cell *cell, const struct sampler *sampler) {
    const struct unlinked_run run = {cell->launcher, sampler, cell->bare.path, &cell->bare.input};
    /* 64 KiB more: the directory itself grows with its number of names */
    struct room room = {.bytes = cell->scratch_bytes + 65536U, .inodes = SCRATCH_INODES};

    return fits(cell->scratch, 0, &room) && unlinked_fit(&run, &room.bytes);
}

bool bare_is_within(struct cell *cell, const struct sampler *sampler, uint64_t now_us) {
    struct bare *bare = &cell->bare;
    bool good;

    if (now_us < bare->next_look_us)
        return true;
    good = is_within(cell, sampler);
    /* Looked at again, since a scan may count a file twice: a program moves it meanwhile, or is about to exec. */
    if (!good)
        good = is_within(cell, sampler);
    bare->next_look_us = now_us + LOOK_US + 4 * (sys_now_us() - now_us);
    return good;
}

/* ---- between runs ------------------------------------------------------------------------------------------------ */

static bool is_same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool bare_is_untouched(const struct cell *cell) {
    const struct stat *root = &cell->scratch_root;
    DIR *stream = file_tree_open(cell->scratch);
    struct stat now;
    bool empty;

    if (stream == NULL)
        return false;
    /* before the directory is read, for that sets its access time */
    empty = fstat(cell->scratch, &now) == 0 && is_same_time(now.st_atim, root->st_atim) &&
            is_same_time(now.st_mtim, root->st_mtim) && is_same_time(now.st_ctim, root->st_ctim) &&
            file_tree_next(stream) == NULL;
    closedir(stream);
    return empty;
}

int bare_ready_scratch(struct cell *cell, uint64_t bytes) {
    if (cell->scratch_bytes == CELL_NO_SCRATCH)
        return -EIO;
    cell->scratch_bytes = bytes;
    cell->bare.next_look_us = 0;
    return 0;
}
