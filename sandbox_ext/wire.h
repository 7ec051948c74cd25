/* The wire between the node (Python, through deepoj._sandbox) and a slot of the launcher: one SOCK_SEQPACKET message
 * a request, one a reply, little-endian, fixed binary. Descriptors travel beside a request as SCM_RIGHTS, in this
 * order:
 *
 *     stdin, kept stdout, kept stderr, [stdout, with a flag of it], files in …, files out …
 *
 * With DOJ_FLAG_STDOUT_TO that one is a file for all of stdout. With DOJ_FLAG_STDOUT_PIPE it is what the program gets as
 * its stdout, a pipe to another run: nothing is kept, and how much went there is what the kernel counts of its writes
 * (all but those to stderr), as it was last seen.
 *
 * Decoding never trusts a length: each read is checked against the end of the message, each count against its maximum,
 * each string against an inner NUL. A decoded request points into the message's own buffer and lives as long as it.
 *
 * How errors are told, here and in all other files: README.md. */
#ifndef DEEPOJ_WIRE_H
#define DEEPOJ_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOJ_MAGIC 0x314a4f44U /* "DOJ1" */
#define DOJ_MAX_MESSAGE (96U * 1024U)
#define DOJ_MAX_ARGS 512U
#define DOJ_MAX_ENV 256U
#define DOJ_MAX_FILES 32U
#define DOJ_MAX_FDS (4U + 2U * DOJ_MAX_FILES)
#define DOJ_STEP_SIZE 32U

enum doj_kind { DOJ_RUN = 1, DOJ_CANCEL = 2, DOJ_RESULT = 3 };
enum doj_policy { DOJ_POLICY_RUN = 0, DOJ_POLICY_COMPILE = 1 };
enum { DOJ_FLAG_STDOUT_TO = 1U, DOJ_FLAG_STDOUT_PIPE = 2U }; /* not both */
enum {
    DOJ_FILE_EXECUTABLE = 1U,
    DOJ_FILE_PROGRAM = 2U, /* stands read-only beside the scratch, and stays for the next run that brings the same */
    DOJ_FILE_ALL = 3U,
};

/* The slots that a node uses as one: for programs, for compilers, for the other side of a program. */
#define DOJ_SLOTS_TOGETHER 3U

/* The wall limit does not count such delay, but no run lasts longer than so many times the limit. */
#define DOJ_WALL_STRETCH 4U

/* What ended a run. Anything but DOJ_ENDED_ITSELF means that the slot killed it. */
enum doj_ended {
    DOJ_ENDED_ITSELF = 0,
    DOJ_ENDED_CPU = 1,
    DOJ_ENDED_WALL = 2,
    DOJ_ENDED_MEMORY = 3,
    DOJ_ENDED_OUTPUT = 4,
    DOJ_ENDED_PROCESSES = 5,
    DOJ_ENDED_CANCELLED = 6,
};

struct doj_limits {
    uint64_t cpu_us;
    uint64_t wall_us;
    uint64_t memory_bytes;
    uint64_t output_bytes;
    uint64_t scratch_bytes;
    uint64_t keep_stdout_bytes;
    uint64_t keep_stderr_bytes;
    uint32_t processes;
    uint32_t open_files;
};

struct doj_file_in {
    const char *name;
    uint32_t flags;
};

struct doj_file_out {
    const char *name;
    uint64_t max_bytes;
};

struct doj_request {
    uint64_t serial;
    uint32_t policy;
    uint32_t flags;
    struct doj_limits limits;
    uint32_t argc;
    uint32_t envc;
    uint32_t files_in_count;
    uint32_t files_out_count;
    const char *argv[DOJ_MAX_ARGS + 1];
    const char *env[DOJ_MAX_ENV + 1];
    struct doj_file_in files_in[DOJ_MAX_FILES];
    struct doj_file_out files_out[DOJ_MAX_FILES];
};

/* The step that failed and its errno; step[0] == 0 means that none did. */
struct doj_fault {
    char step[DOJ_STEP_SIZE];
    int32_t error;
};

struct doj_result {
    uint64_t serial;
    struct doj_fault fault;
    uint32_t ended_by;
    uint32_t exit_code;
    uint32_t exit_signal;
    uint32_t oom_kill;
    uint64_t cpu_us;
    uint64_t wall_us;
    uint64_t memory_bytes;
    uint64_t stdout_len;
    uint64_t stderr_len;
    uint32_t files_out; /* bit n: file n was copied */
    uint64_t slot_us;   /* from the request's arrival to this answer */
    uint64_t busy_us;   /* what all runs before this one took of the slot, cleaning up included */
    uint64_t delay_us;  /* others kept the run from running for so long, at least: sampler.h */
    uint64_t ended_us;  /* CLOCK_MONOTONIC when the end was seen or decided: before a joined run can notice it */
};

#define DOJ_RESULT_SIZE 144U

/* How many descriptors must accompany the request. */
size_t doj_request_fds(const struct doj_request *request);

/* The kind of a message, or -EBADMSG. `serial` is filled for every kind. */
int doj_peek(const unsigned char *message, size_t size, uint64_t *serial);

/* -EBADMSG when the message is not exactly one well-formed request. */
int doj_decode_request(const unsigned char *message, size_t size, struct doj_request *request);

/* Length of the message, or -EMSGSIZE when it does not fit, -EINVAL when the request may not be sent at all. */
long doj_encode_request(const struct doj_request *request, unsigned char *buffer, size_t capacity);

long doj_encode_cancel(uint64_t serial, unsigned char *buffer, size_t capacity);
int doj_decode_result(const unsigned char *message, size_t size, struct doj_result *result);
long doj_encode_result(const struct doj_result *result, unsigned char *buffer, size_t capacity);

#endif
