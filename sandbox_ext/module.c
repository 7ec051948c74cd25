/* The method table of deepoj._sandbox, and nothing else. */
#include "codec.h"
#include "wire.h"

static PyMethodDef methods[] = {
    {"pack_run", codec_pack_run, METH_VARARGS, "The message that asks a slot for one run."},
    {"pack_cancel", codec_pack_cancel, METH_VARARGS, "The message that ends a run under way."},
    {"unpack_result", codec_unpack_result, METH_VARARGS, "The fields of a slot's answer."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "deepoj._sandbox", "The wire between the node and the sandbox launcher.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__sandbox(void);

PyMODINIT_FUNC PyInit__sandbox(void) {
    PyObject *module = PyModule_Create(&definition);

    if (module != NULL && (PyModule_AddIntConstant(module, "RESULT_BYTES", DOJ_RESULT_SIZE) != 0 ||
                           PyModule_AddIntConstant(module, "WALL_STRETCH", DOJ_WALL_STRETCH) != 0 ||
                           PyModule_AddIntConstant(module, "FILES_IN", DOJ_MAX_FILES_IN) != 0 ||
                           PyModule_AddIntConstant(module, "ARGS", DOJ_MAX_ARGS) != 0 ||
                           PyModule_AddIntConstant(module, "STDOUT_TO", DOJ_FLAG_STDOUT_TO) != 0 ||
                           PyModule_AddIntConstant(module, "STDOUT_PIPE", DOJ_FLAG_STDOUT_PIPE) != 0)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
