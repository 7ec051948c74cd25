/* One output stream of a run: a pipe that is drained, counted to the byte and kept up to a cap. */
#ifndef DEEPOJ_STREAM_H
#define DEEPOJ_STREAM_H

#include <sys/types.h>

#include "launcher.h"

#define STREAM_PIPE_BYTES (1U << 20)
#define STREAM_DRAIN_BYTES (256U * 1024U)

struct stream {
    int pipe; /* our end; -1 once it has no writer */
    int keep;
    int whole; /* or -1 */
    uint64_t keep_bytes;
    uint64_t whole_bytes;
    uint64_t length;
};

/* Makes a pipe for a stream: ends[0] is for the slot, ends[1] for the program, which may open it again (as
 * /dev/stdout). */
int stream_pipe(const struct launcher *launcher, int ends[2]);

/* Reads at most a buffer full without waiting. Never stops reading: past the caps it only counts. An error is ours: the
 * pipe could not be read, or the kept part not be written. */
int stream_drain(struct stream *stream, char *buffer);

#endif
