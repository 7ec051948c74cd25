/* The wire between the node (Python, through deepoj._sandbox) and a slot of the launcher: one SOCK_SEQPACKET message
 * for a request, one for a reply, little-endian, fixed binary. Descriptors travel with a request as SCM_RIGHTS, in this
 * order:
 *
 *     stdin, kept stdout, kept stderr, [stdout, with a flag for it], files in …, files out …
 *
 * With DOJ_FLAG_STDOUT_TO the fourth is a file for all of stdout. With DOJ_FLAG_STDOUT_PIPE it becomes the program's
 * stdout: a pipe to another run. Then nothing is kept. The length of the output is the kernel's count of the program's
 * writes (without those to stderr), as last read.
 *
 * Decoding never trusts a length: each read is checked against the end of the message, each count against its maximum,
 * each string against an inner NUL. A decoded request points into the message's buffer and lives as long as it does.
 *
 * The convention for errors, here and in all other files: README.md. */
#ifndef DEEPOJ_WIRE_H
#define DEEPOJ_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOJ_MAGIC 0x314a4f44U /* "DOJ1" */
#define DOJ_MAX_MESSAGE (96U * 1024U)
#define DOJ_MAX_ARGS 512U
#define DOJ_MAX_ENV 256U
/* The kernel passes at most 253 descriptors with a message (SCM_MAX_FD), and doj_result.files_out has 32 bits. */
#define DOJ_MAX_FILES_IN 208U
#define DOJ_MAX_FILES_OUT 32U
#define DOJ_MAX_FDS (4U + DOJ_MAX_FILES_IN + DOJ_MAX_FILES_OUT)
#define DOJ_STEP_SIZE 32U

enum doj_kind { DOJ_RUN = 1, DOJ_CANCEL = 2, DOJ_RESULT = 3 };
enum doj_policy { DOJ_POLICY_RUN = 0, DOJ_POLICY_COMPILE = 1 };
enum { DOJ_FLAG_STDOUT_TO = 1U, DOJ_FLAG_STDOUT_PIPE = 2U }; /* not both */
enum {
    DOJ_FILE_EXECUTABLE = 1U,
    DOJ_FILE_PROGRAM = 2U, /* read-only, beside the scratch; kept for the next run that brings the same file */
    DOJ_FILE_ALL = 3U,
};

/* The slots that a node uses as one place: for programs, for compilers, and for a program's partner. */
#define DOJ_SLOTS_TOGETHER 3U

/* Delay by others is not counted against the wall limit, but no run lasts longer than this many times the limit. */
#define DOJ_WALL_STRETCH 4U

/* Why a run ended. Any value but DOJ_ENDED_ITSELF means that the slot killed it. */
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
    struct doj_file_in files_in[DOJ_MAX_FILES_IN];
    struct doj_file_out files_out[DOJ_MAX_FILES_OUT];
};

/* The step that failed and its errno; step[0] == 0: no step failed. */
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
    uint64_t busy_us;   /* slot time of all runs before this one, cleaning up included */
    uint64_t delay_us;  /* time for which others kept the run from running, a lower bound: sampler.h */
    uint64_t ended_us;  /* CLOCK_MONOTONIC when the end was seen or decided: before a joined run can notice it */
};

#define DOJ_RESULT_SIZE 144U

/* Number of descriptors that must accompany the request. */
size_t doj_request_fds(const struct doj_request *request);

/* Returns the kind of a message, or -EBADMSG. `serial` is filled for every kind. */
int doj_peek(const unsigned char *message, size_t size, uint64_t *serial);

/* Returns -EBADMSG when the message is not exactly one well-formed request. */
int doj_decode_request(const unsigned char *message, size_t size, struct doj_request *request);

/* Returns the length of the message, -EMSGSIZE when it does not fit, or -EINVAL when the request may not be sent. */
long doj_encode_request(const struct doj_request *request, unsigned char *buffer, size_t capacity);

long doj_encode_cancel(uint64_t serial, unsigned char *buffer, size_t capacity);
int doj_decode_result(const unsigned char *message, size_t size, struct doj_result *result);
long doj_encode_result(const struct doj_result *result, unsigned char *buffer, size_t capacity);

#endif
