/* Theory of operation
 *
 * Files go in before any process of the run exists and come out after none does, so neither side can race the copy.
 * Names are single components (wire.c holds that). On the way out the program chose what stands under the name: it is
 * opened without following a link and without waiting for the other end of a FIFO, and only a regular file counts. */
#define _GNU_SOURCE
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs.h"
#include "sys.h"

#define INODES 16384U
#define CHUNK (1U << 20)

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

static int regular_size(int fd, uint64_t *size) {
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    *size = (uint64_t)status.st_size;
    return 0;
}

static int copy_in(const struct launcher *launcher, int scratch, const struct doj_file_in *file, int source,
                   uint64_t size) {
    int target = openat(scratch, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error;

    if (target < 0)
        return -errno;
    error = copy(target, source, size);
    if (error == 0 && fchown(target, launcher->uid, launcher->gid) != 0)
        error = -errno;
    if (error == 0 && fchmod(target, file->executable ? 0755 : 0644) != 0)
        error = -errno;
    close(target);
    return error;
}

int scratch_create(const struct launcher *launcher, const struct doj_request *request, const int *sources) {
    uint64_t sizes[DOJ_MAX_FILES];
    uint64_t bytes = request->limits.scratch_bytes;
    int error = 0;
    int scratch;

    for (uint32_t i = 0; i < request->files_in_count; i++) {
        error = regular_size(sources[i], &sizes[i]);
        if (error != 0)
            return error;
        bytes += sizes[i] + 4096; /* what we bring does not eat the program's own room */
    }
    scratch = rootfs_scratch(bytes, INODES + DOJ_MAX_FILES, launcher->uid, launcher->gid);
    if (scratch < 0)
        return scratch;
    for (uint32_t i = 0; i < request->files_in_count && error == 0; i++)
        error = copy_in(launcher, scratch, &request->files_in[i], sources[i], sizes[i]);
    if (error != 0) {
        close(scratch);
        return error;
    }
    return scratch;
}

int scratch_copy_out(int scratch, const struct doj_file_out *file, int target, bool *copied) {
    int source = openat(scratch, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    uint64_t size;
    int error = 0;

    *copied = false;
    if (source < 0)
        return 0;
    if (regular_size(source, &size) == 0 && size <= file->max_bytes) {
        error = copy(target, source, size);
        *copied = error == 0;
    }
    close(source);
    return error;
}

int scratch_sealed_copy(int source) {
    uint64_t size;
    int error = regular_size(source, &size);
    int target;

    if (error == -EINVAL) { /* /dev/null and the like: nothing in them to protect */
        target = fcntl(source, F_DUPFD_CLOEXEC, 3);
        return target < 0 ? -errno : target;
    }
    if (error != 0)
        return error;
    target = memfd_create("stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (target < 0)
        return -errno;
    if (error == 0)
        error = copy(target, source, size);
    if (error == 0 && (lseek(target, 0, SEEK_SET) != 0 ||
                       fcntl(target, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0))
        error = -errno;
    if (error != 0) {
        close(target);
        return error;
    }
    return target;
}
