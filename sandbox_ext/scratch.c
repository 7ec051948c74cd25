/* Theory of operation
 *
 * Files are copied in before any process of the run exists, and out after the last one is gone. So no process can race
 * a copy. Names are single path components (wire.c checks that). On the way out the program has chosen the file under
 * the name. It is opened without following a link and without waiting for the other end of a FIFO, and only a regular
 * file counts.
 *
 * Files of the program are kept in the store, which runs cannot write. The next test of the same submission finds them
 * there. "The same" means the same inode of the host with the same size and times. Times move in ticks of the clock. If
 * a file has changed within the last tick before its copy, it may change again without showing it (or be removed, and
 * another file get its inode). So that copy is not used twice. Some file systems have whole seconds alone.
 *
 * Files are created with their final mode, for a slot that has shed its rights may not change it. */
#define _GNU_SOURCE
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "rootfs.h"
#include "sys.h"

#define CHUNK (1U << 20)
#define TICK_NS INT64_C(20000000) /* twice the longest tick of a kernel, 100 Hz */
#define COARSE_TICK_NS INT64_C(4000000000) /* twice FAT's; a file system with 128 bytes per inode has 1 s */
#define INPUT_NAME ".deepoj-input"

/* Copies from the start of source until its end or until `most` bytes. */
static int copy(int target, int source, uint64_t most) {
    off_t from = 0;

    while ((uint64_t)from < most) {
        uint64_t left = most - (uint64_t)from;
        ssize_t count = sendfile(target, source, &from, left < CHUNK ? (size_t)left : CHUNK);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return 0;
    }
    return 0;
}

static int regular(int fd, struct stat *status) {
    if (fstat(fd, status) != 0)
        return -errno;
    return S_ISREG(status->st_mode) ? 0 : -EINVAL;
}

static int copy_in(const struct cell *cell, int dir, const char *name, mode_t mode, int source, uint64_t size) {
    const struct launcher *launcher = cell->launcher;
    int target = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    int error;

    if (target < 0)
        return -errno;
    error = copy(target, source, size);
    /* only a slot that has kept its rights has another uid than the payload */
    if (error == 0 && geteuid() != launcher->uid && fchown(target, launcher->uid, launcher->gid) != 0)
        error = -errno;
    close(target);
    return error;
}

static mode_t mode_of(const struct doj_file_in *file) {
    return (file->flags & DOJ_FILE_EXECUTABLE) ? 0755 : 0644;
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof a->st_ctim) == 0;
}

static bool holds(const struct store *store, const struct doj_file_in *file, const struct stat *source) {
    for (uint32_t i = 0; i < store->count; i++)
        if (strcmp(store->entries[i].name, file->name) == 0)
            return store->entries[i].flags == file->flags && is_same(&store->entries[i].source, source);
    return false;
}

static void clear(const struct cell *cell, struct store *store) {
    for (uint32_t i = 0; i < store->count; i++)
        (void)unlinkat(cell->store, store->entries[i].name, 0); /* a file that stays makes the next `put` fail */
    store->count = 0;
}

static bool changed_just_now(const struct stat *status) {
    struct timespec now = {0, 0};
    int64_t age_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    age_ns = (int64_t)(now.tv_sec - status->st_ctim.tv_sec) * 1000000000 + (now.tv_nsec - status->st_ctim.tv_nsec);
    return age_ns < (status->st_ctim.tv_nsec == 0 ? COARSE_TICK_NS : TICK_NS);
}

static int put(const struct cell *cell, struct store *store, const struct doj_file_in *file, const struct stat *status,
               int source) {
    struct store_entry *entry = &store->entries[store->count];

    /* entered before it exists, so that a partial copy is cleared, too */
    snprintf(entry->name, sizeof entry->name, "%s", file->name);
    entry->flags = file->flags;
    entry->source = *status;
    if (changed_just_now(status))
        entry->source.st_ino = 0; /* no file has this number */
    store->count++;
    return copy_in(cell, cell->store, file->name, mode_of(file), source, (uint64_t)status->st_size);
}

static int fill_store(const struct cell *cell, struct store *store, const struct doj_request *request,
                      const int *sources, const struct stat *statuses) {
    uint32_t wanted = 0;
    uint32_t held = 0;
    int error = 0;

    for (uint32_t i = 0; i < request->files_in_count; i++)
        if (request->files_in[i].flags & DOJ_FILE_PROGRAM) {
            wanted++;
            held += holds(store, &request->files_in[i], &statuses[i]);
        }
    if (wanted == held && wanted == store->count)
        return 0;
    clear(cell, store);
    for (uint32_t i = 0; i < request->files_in_count && error == 0; i++)
        if (request->files_in[i].flags & DOJ_FILE_PROGRAM)
            error = put(cell, store, &request->files_in[i], &statuses[i], sources[i]);
    if (error != 0)
        clear(cell, store);
    return error;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

int scratch_fill(struct cell *cell, struct store *store, const struct doj_request *request, const int *sources) {
    struct stat statuses[DOJ_MAX_FILES_IN];
    uint64_t bytes = request->limits.scratch_bytes;
    int error = 0;

    for (uint32_t i = 0; i < request->files_in_count; i++) {
        error = regular(sources[i], &statuses[i]);
        if (error != 0)
            return error;
        if ((request->files_in[i].flags & DOJ_FILE_PROGRAM) == 0)
            bytes += (uint64_t)statuses[i].st_size + 4096; /* input files do not take the program's own space */
    }
    /* cppcheck-suppress uninitvar ; of no files it reads none */
    error = fill_store(cell, store, request, sources, statuses);
    if (error == 0)
        error = cell_ready_scratch(cell, bytes);
    for (uint32_t i = 0; i < request->files_in_count && error == 0; i++)
        if ((request->files_in[i].flags & DOJ_FILE_PROGRAM) == 0)
            error = copy_in(cell, cell->scratch, request->files_in[i].name, mode_of(&request->files_in[i]), sources[i],
                            (uint64_t)statuses[i].st_size);
    return error;
}

int scratch_input(const struct cell *cell, int source) {
    struct stat status;
    int error;
    int input;

    /* No input: /dev/null, but opened as the box shows it. Through the node's a run could set its times. */
    if (fstat(source, &status) == 0 && S_ISCHR(status.st_mode)) {
        input = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return input < 0 ? -errno : input;
    }
    /* A payload with another uid than the node's cannot open its input for writing, and a pipe has nothing to protect.
     * With the node's own uid it could, through /proc/self/fd/0. So it gets a copy that was opened on a read-only
     * mount. */
    if (cell->launcher->privileged || regular(source, &status) == -EINVAL) {
        input = fcntl(source, F_DUPFD_CLOEXEC, 3);
        return input < 0 ? -errno : input;
    }
    error = copy_in(cell, cell->store, INPUT_NAME, 0444, source, UINT64_MAX);
    if (error == 0) /* at weak Landlock keeps the payload from opening it a second time */
        input = cell->launcher->weak ? openat(cell->store, INPUT_NAME, O_RDONLY | O_CLOEXEC)
                                     : open(PROGRAM_PATH "/" INPUT_NAME, O_RDONLY | O_CLOEXEC);
    else
        input = error;
    if (error == 0 && input < 0)
        input = -errno;
    unlinkat(cell->store, INPUT_NAME, 0);
    return input;
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

int scratch_copy_out(int scratch, const struct doj_file_out *file, int target, bool *copied) {
    int source = openat(scratch, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    int error = 0;

    *copied = false;
    if (source < 0) /* a program can make the name unusable, but cannot exhaust these resources */
        return errno == ENOMEM || errno == ENFILE || errno == EMFILE ? -errno : 0;
    if (regular(source, &status) == 0 && (uint64_t)status.st_size <= file->max_bytes) {
        error = copy(target, source, (uint64_t)status.st_size);
        *copied = error == 0;
    }
    close(source);
    return error;
}
