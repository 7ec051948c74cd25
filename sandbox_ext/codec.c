/* See codec.h; the format itself is in wire.c, shared with the launcher. */
#include "codec.h"

#include <errno.h>

#include "wire.h"

/* Borrows C strings from a tuple of bytes. */
static int strings(PyObject *tuple, const char **out, uint32_t maximum, uint32_t *count, const char *what) {
    Py_ssize_t size;

    if (!PyTuple_Check(tuple)) {
        PyErr_Format(PyExc_TypeError, "%s must be a tuple of bytes", what);
        return -1;
    }
    size = PyTuple_GET_SIZE(tuple);
    if (size > (Py_ssize_t)maximum) {
        PyErr_Format(PyExc_ValueError, "%s has more than %u members", what, (unsigned)maximum);
        return -1;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        char *text;

        /* a NULL length pointer makes an inner NUL a ValueError */
        if (PyBytes_AsStringAndSize(PyTuple_GET_ITEM(tuple, i), &text, NULL) != 0)
            return -1;
        out[i] = text;
    }
    *count = (uint32_t)size;
    return 0;
}

static int files_in(PyObject *tuple, struct doj_request *request) {
    if (PyTuple_GET_SIZE(tuple) > (Py_ssize_t)DOJ_MAX_FILES_IN) {
        PyErr_Format(PyExc_ValueError, "more than %u files in", (unsigned)DOJ_MAX_FILES_IN);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        int executable;
        int program;

        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "ypp", &request->files_in[i].name, &executable, &program))
            return -1;
        request->files_in[i].flags =
            (executable ? (uint32_t)DOJ_FILE_EXECUTABLE : 0U) | (program ? (uint32_t)DOJ_FILE_PROGRAM : 0U);
    }
    request->files_in_count = (uint32_t)PyTuple_GET_SIZE(tuple);
    return 0;
}

static int files_out(PyObject *tuple, struct doj_request *request) {
    if (PyTuple_GET_SIZE(tuple) > (Py_ssize_t)DOJ_MAX_FILES_OUT) {
        PyErr_Format(PyExc_ValueError, "more than %u files out", (unsigned)DOJ_MAX_FILES_OUT);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        unsigned long long most;

        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "yK", &request->files_out[i].name, &most))
            return -1;
        request->files_out[i].max_bytes = most;
    }
    request->files_out_count = (uint32_t)PyTuple_GET_SIZE(tuple);
    return 0;
}

PyObject *codec_pack_run(PyObject *module, PyObject *args) {
    struct doj_request *request;
    unsigned char *buffer;
    PyObject *argv;
    PyObject *env;
    PyObject *in;
    PyObject *out;
    PyObject *result = NULL;
    unsigned long long serial;
    unsigned long long n[9];
    int compile;
    unsigned int flags;
    long size;

    (void)module;
    request = PyMem_Calloc(1, sizeof *request);
    buffer = PyMem_Malloc(DOJ_MAX_MESSAGE);
    if (request == NULL || buffer == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (!PyArg_ParseTuple(args, "KpI(KKKKKKKKK)O!O!O!O!", &serial, &compile, &flags, &n[0], &n[1], &n[2], &n[3], &n[4],
                          &n[5], &n[6], &n[7], &n[8], &PyTuple_Type, &argv, &PyTuple_Type, &env, &PyTuple_Type, &in,
                          &PyTuple_Type, &out))
        goto done;
    request->serial = serial;
    request->policy = compile ? DOJ_POLICY_COMPILE : DOJ_POLICY_RUN;
    request->flags = flags;
    request->limits.cpu_us = n[0];
    request->limits.wall_us = n[1];
    request->limits.memory_bytes = n[2];
    request->limits.output_bytes = n[3];
    request->limits.scratch_bytes = n[4];
    request->limits.keep_stdout_bytes = n[5];
    request->limits.keep_stderr_bytes = n[6];
    /* what does not fit is out of range, not something smaller */
    request->limits.processes = n[7] <= UINT32_MAX ? (uint32_t)n[7] : UINT32_MAX;
    request->limits.open_files = n[8] <= UINT32_MAX ? (uint32_t)n[8] : UINT32_MAX;
    if (strings(argv, request->argv, DOJ_MAX_ARGS, &request->argc, "argv") != 0 ||
        strings(env, request->env, DOJ_MAX_ENV, &request->envc, "env") != 0 || files_in(in, request) != 0 ||
        files_out(out, request) != 0)
        goto done;
    size = doj_encode_request(request, buffer, DOJ_MAX_MESSAGE);
    if (size == -EMSGSIZE)
        PyErr_Format(PyExc_ValueError, "arguments and environment of more than %u bytes", (unsigned)DOJ_MAX_MESSAGE);
    else if (size < 0)
        PyErr_SetString(PyExc_ValueError, "a limit or flag out of range, no arguments, or a file name that is not plain");
    else
        result = PyBytes_FromStringAndSize((const char *)buffer, size);
done:
    PyMem_Free(buffer);
    PyMem_Free(request);
    return result;
}

PyObject *codec_pack_cancel(PyObject *module, PyObject *args) {
    unsigned char buffer[64];
    unsigned long long serial;
    long size;

    (void)module;
    if (!PyArg_ParseTuple(args, "K", &serial))
        return NULL;
    size = doj_encode_cancel(serial, buffer, sizeof buffer);
    return PyBytes_FromStringAndSize((const char *)buffer, size);
}

PyObject *codec_unpack_result(PyObject *module, PyObject *args) {
    struct doj_result result;
    Py_buffer message;
    int error;

    (void)module;
    if (!PyArg_ParseTuple(args, "y*", &message))
        return NULL;
    error = doj_decode_result(message.buf, (size_t)message.len, &result);
    PyBuffer_Release(&message);
    if (error != 0) {
        PyErr_SetString(PyExc_ValueError, "not a result message");
        return NULL;
    }
    return Py_BuildValue("(KsiIIIIIKKKKKKKKK)", (unsigned long long)result.serial, result.fault.step,
                         (int)result.fault.error, result.ended_by, result.exit_code, result.exit_signal,
                         result.oom_kill, result.files_out,
                         (unsigned long long)result.cpu_us, (unsigned long long)result.wall_us,
                         (unsigned long long)result.memory_bytes, (unsigned long long)result.stdout_len,
                         (unsigned long long)result.stderr_len, (unsigned long long)result.slot_us,
                         (unsigned long long)result.busy_us, (unsigned long long)result.delay_us,
                         (unsigned long long)result.ended_us);
}
