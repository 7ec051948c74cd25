/* See stream.h. */
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sys.h"

int stream_pipe(const struct launcher *launcher, int ends[2]) {
    int error = 0;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    /* less than requested (an ordinary user has a quota of pipe pages) is slower, not wrong */
    fcntl(ends[0], F_SETPIPE_SZ, launcher->stream_bytes);
    /* only our end is non-blocking */
    if (fcntl(ends[1], F_SETFL, O_WRONLY) != 0 || (geteuid() != launcher->uid && fchown(ends[1], launcher->uid, launcher->gid) != 0))
        error = -errno;
    if (error != 0) {
        close(ends[0]);
        close(ends[1]);
    }
    return error;
}

static int pass_on(int target, uint64_t cap, uint64_t before, const char *bytes, size_t size) {
    uint64_t room = before < cap ? cap - before : 0;

    return target < 0 || room == 0 ? 0 : sys_write_all(target, bytes, size < room ? size : (size_t)room);
}

int stream_drain(struct stream *stream, char *buffer) {
    ssize_t count = read(stream->pipe, buffer, STREAM_DRAIN_BYTES);
    uint64_t before = stream->length;
    int error;

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (count <= 0) {
        error = count < 0 ? -errno : 0;
        sys_close(&stream->pipe);
        return error;
    }
    stream->length += (uint64_t)count;
    error = pass_on(stream->keep, stream->keep_bytes, before, buffer, (size_t)count);
    return error != 0 ? error : pass_on(stream->whole, stream->whole_bytes, before, buffer, (size_t)count);
}
