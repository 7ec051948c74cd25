/* Encoding and decoding of the wire; see wire.h. No allocation, no system call: fuzzers test this file. */
#include "wire.h"

#include <errno.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad; /* sticky: after the first failure every read gives zero */
};

static uint64_t get(struct reader *reader, size_t bytes) {
    uint64_t value = 0;

    if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += bytes;
    return value;
}

static uint32_t get32(struct reader *reader) { return (uint32_t)get(reader, 4); }

static uint64_t get64(struct reader *reader) { return get(reader, 8); }

/* A string is its length, its bytes and a NUL that the length does not count. */
static const char *get_string(struct reader *reader) {
    uint32_t length = get32(reader);
    const unsigned char *bytes = reader->at;

    if (reader->bad || length >= (size_t)(reader->end - reader->at) || bytes[length] != 0 ||
        memchr(bytes, 0, length) != NULL) {
        reader->bad = true;
        return "";
    }
    reader->at += (size_t)length + 1;
    return (const char *)bytes;
}

static uint32_t get_count(struct reader *reader, uint32_t maximum) {
    uint32_t count = get32(reader);

    if (count > maximum) {
        reader->bad = true;
        return 0;
    }
    return count;
}

/* Returns whether the name is one path component that stays within the scratch. */
static bool plain_name(const char *name) {
    size_t length = strlen(name);

    return length > 0 && length <= 255 && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static const char *get_name(struct reader *reader) {
    const char *name = get_string(reader);

    if (!reader->bad && !plain_name(name))
        reader->bad = true;
    return name;
}

size_t doj_request_fds(const struct doj_request *request) {
    return 3U + (request->flags != 0 ? 1U : 0U) + request->files_in_count + request->files_out_count;
}

int doj_peek(const unsigned char *message, size_t size, uint64_t *serial) {
    struct reader reader = {message, message + size, false};
    uint32_t magic = get32(&reader);
    uint32_t kind = get32(&reader);

    *serial = get64(&reader);
    if (reader.bad || magic != DOJ_MAGIC || kind < DOJ_RUN || kind > DOJ_RESULT)
        return -EBADMSG;
    return (int)kind;
}

static void get_limits(struct reader *reader, struct doj_limits *limits) {
    limits->cpu_us = get64(reader);
    limits->wall_us = get64(reader);
    limits->memory_bytes = get64(reader);
    limits->output_bytes = get64(reader);
    limits->scratch_bytes = get64(reader);
    limits->keep_stdout_bytes = get64(reader);
    limits->keep_stderr_bytes = get64(reader);
    limits->processes = get32(reader);
    limits->open_files = get32(reader);
}

/* Later code adds and multiplies limits unchecked, so none may be near the end of 64 bits. */
static bool limits_sane(const struct doj_limits *limits) {
    const uint64_t most = UINT64_C(1) << 46;

    return limits->cpu_us > 0 && limits->cpu_us < most && limits->wall_us > 0 && limits->wall_us < most &&
           limits->memory_bytes > 0 && limits->memory_bytes < most && limits->output_bytes < most &&
           limits->scratch_bytes < most && limits->keep_stdout_bytes < most && limits->keep_stderr_bytes < most &&
           limits->processes > 0 && limits->processes <= 100000U && limits->open_files >= 3 &&
           limits->open_files <= 100000U;
}

int doj_decode_request(const unsigned char *message, size_t size, struct doj_request *request) {
    struct reader reader = {message, message + size, false};

    memset(request, 0, sizeof *request);
    if (doj_peek(message, size, &request->serial) != DOJ_RUN)
        return -EBADMSG;
    reader.at += 16;
    request->policy = get32(&reader);
    request->flags = get32(&reader);
    get_limits(&reader, &request->limits);
    request->argc = get_count(&reader, DOJ_MAX_ARGS);
    request->envc = get_count(&reader, DOJ_MAX_ENV);
    request->files_in_count = get_count(&reader, DOJ_MAX_FILES_IN);
    request->files_out_count = get_count(&reader, DOJ_MAX_FILES_OUT);
    for (uint32_t i = 0; i < request->argc && !reader.bad; i++)
        request->argv[i] = get_string(&reader);
    for (uint32_t i = 0; i < request->envc && !reader.bad; i++)
        request->env[i] = get_string(&reader);
    for (uint32_t i = 0; i < request->files_in_count && !reader.bad; i++) {
        request->files_in[i].flags = get32(&reader);
        reader.bad = reader.bad || (request->files_in[i].flags & ~(uint32_t)DOJ_FILE_ALL) != 0;
        request->files_in[i].name = get_name(&reader);
    }
    for (uint32_t i = 0; i < request->files_out_count && !reader.bad; i++) {
        request->files_out[i].max_bytes = get64(&reader);
        request->files_out[i].name = get_name(&reader);
    }
    if (reader.bad || reader.at != reader.end || request->argc == 0 || request->policy > DOJ_POLICY_COMPILE ||
        request->flags > DOJ_FLAG_STDOUT_PIPE || !limits_sane(&request->limits))
        return -EBADMSG;
    return 0;
}

int doj_decode_result(const unsigned char *message, size_t size, struct doj_result *result) {
    struct reader reader = {message, message + size, false};

    memset(result, 0, sizeof *result);
    if (doj_peek(message, size, &result->serial) != DOJ_RESULT || size != DOJ_RESULT_SIZE)
        return -EBADMSG;
    reader.at += 16;
    memcpy(result->fault.step, reader.at, DOJ_STEP_SIZE);
    reader.at += DOJ_STEP_SIZE;
    result->fault.error = (int32_t)get32(&reader);
    result->ended_by = get32(&reader);
    result->exit_code = get32(&reader);
    result->exit_signal = get32(&reader);
    result->oom_kill = get32(&reader);
    result->files_out = get32(&reader);
    result->cpu_us = get64(&reader);
    result->wall_us = get64(&reader);
    result->memory_bytes = get64(&reader);
    result->stdout_len = get64(&reader);
    result->stderr_len = get64(&reader);
    result->slot_us = get64(&reader);
    result->busy_us = get64(&reader);
    result->delay_us = get64(&reader);
    result->ended_us = get64(&reader);
    if (reader.bad || result->fault.step[DOJ_STEP_SIZE - 1] != 0 || result->ended_by > DOJ_ENDED_CANCELLED)
        return -EBADMSG;
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct writer {
    unsigned char *at;
    unsigned char *end;
    bool full;
};

static void put(struct writer *writer, uint64_t value, size_t bytes) {
    if (writer->full || (size_t)(writer->end - writer->at) < bytes) {
        writer->full = true;
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        writer->at[i] = (unsigned char)(value >> (8 * i));
    writer->at += bytes;
}

static void put_string(struct writer *writer, const char *string) {
    size_t length = strlen(string);

    put(writer, length, 4);
    if (writer->full || (size_t)(writer->end - writer->at) <= length) {
        writer->full = true;
        return;
    }
    memcpy(writer->at, string, length + 1);
    writer->at += length + 1;
}

static void put_head(struct writer *writer, enum doj_kind kind, uint64_t serial) {
    put(writer, DOJ_MAGIC, 4);
    put(writer, (uint64_t)kind, 4);
    put(writer, serial, 8);
}

static long written(const struct writer *writer, const unsigned char *buffer) {
    return writer->full ? -EMSGSIZE : (long)(writer->at - buffer);
}

long doj_encode_request(const struct doj_request *request, unsigned char *buffer, size_t capacity) {
    struct writer writer = {buffer, buffer + capacity, false};
    const struct doj_limits *limits = &request->limits;

    if (request->argc == 0 || request->argc > DOJ_MAX_ARGS || request->envc > DOJ_MAX_ENV ||
        request->files_in_count > DOJ_MAX_FILES_IN || request->files_out_count > DOJ_MAX_FILES_OUT ||
        request->flags > DOJ_FLAG_STDOUT_PIPE || !limits_sane(limits))
        return -EINVAL;
    put_head(&writer, DOJ_RUN, request->serial);
    put(&writer, request->policy, 4);
    put(&writer, request->flags, 4);
    put(&writer, limits->cpu_us, 8);
    put(&writer, limits->wall_us, 8);
    put(&writer, limits->memory_bytes, 8);
    put(&writer, limits->output_bytes, 8);
    put(&writer, limits->scratch_bytes, 8);
    put(&writer, limits->keep_stdout_bytes, 8);
    put(&writer, limits->keep_stderr_bytes, 8);
    put(&writer, limits->processes, 4);
    put(&writer, limits->open_files, 4);
    put(&writer, request->argc, 4);
    put(&writer, request->envc, 4);
    put(&writer, request->files_in_count, 4);
    put(&writer, request->files_out_count, 4);
    for (uint32_t i = 0; i < request->argc; i++)
        put_string(&writer, request->argv[i]);
    for (uint32_t i = 0; i < request->envc; i++)
        put_string(&writer, request->env[i]);
    for (uint32_t i = 0; i < request->files_in_count; i++) {
        if (!plain_name(request->files_in[i].name) || (request->files_in[i].flags & ~(uint32_t)DOJ_FILE_ALL) != 0)
            return -EINVAL;
        put(&writer, request->files_in[i].flags, 4);
        put_string(&writer, request->files_in[i].name);
    }
    for (uint32_t i = 0; i < request->files_out_count; i++) {
        if (!plain_name(request->files_out[i].name))
            return -EINVAL;
        put(&writer, request->files_out[i].max_bytes, 8);
        put_string(&writer, request->files_out[i].name);
    }
    return written(&writer, buffer);
}

long doj_encode_cancel(uint64_t serial, unsigned char *buffer, size_t capacity) {
    struct writer writer = {buffer, buffer + capacity, false};

    put_head(&writer, DOJ_CANCEL, serial);
    return written(&writer, buffer);
}

long doj_encode_result(const struct doj_result *result, unsigned char *buffer, size_t capacity) {
    struct writer writer = {buffer, buffer + capacity, false};

    put_head(&writer, DOJ_RESULT, result->serial);
    for (size_t i = 0; i < DOJ_STEP_SIZE; i++)
        put(&writer, (unsigned char)result->fault.step[i], 1);
    put(&writer, (uint32_t)result->fault.error, 4);
    put(&writer, result->ended_by, 4);
    put(&writer, result->exit_code, 4);
    put(&writer, result->exit_signal, 4);
    put(&writer, result->oom_kill, 4);
    put(&writer, result->files_out, 4);
    put(&writer, result->cpu_us, 8);
    put(&writer, result->wall_us, 8);
    put(&writer, result->memory_bytes, 8);
    put(&writer, result->stdout_len, 8);
    put(&writer, result->stderr_len, 8);
    put(&writer, result->slot_us, 8);
    put(&writer, result->busy_us, 8);
    put(&writer, result->delay_us, 8);
    put(&writer, result->ended_us, 8);
    return written(&writer, buffer);
}
