/* One output stream of a run: a pipe that is drained, counted to the byte and kept up to a cap. */
#ifndef DEEPOJ_STREAM_H
#define DEEPOJ_STREAM_H

#include <sys/types.h>

#include "wire.h"

#define STREAM_DRAIN_BYTES (256U * 1024U)

struct stream {
    int pipe; /* our end; -1 once nobody can write any more */
    int keep;
    int whole; /* or -1 */
    uint64_t keep_bytes;
    uint64_t whole_bytes;
    uint64_t length;
};

/* Opens the pipe; *write_end is the program's. `owner` may open it again, as /dev/stdout; -1 when that is us. */
int stream_open(struct stream *stream, uid_t owner, gid_t group, int *write_end);

/* Reads what is there, at most a buffer full, without waiting. Never stops taking: past the caps it only counts. An
 * error is ours: what was to be kept could not be written. */
int stream_drain(struct stream *stream, char *buffer);

#endif
