/* The functions of deepoj._sandbox: Python values to wire messages and back. */
#ifndef DEEPOJ_CODEC_H
#define DEEPOJ_CODEC_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

PyObject *codec_pack_run(PyObject *module, PyObject *args);
PyObject *codec_pack_cancel(PyObject *module, PyObject *args);
PyObject *codec_unpack_result(PyObject *module, PyObject *args);

#endif
