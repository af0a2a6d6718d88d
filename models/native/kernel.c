/* The compiled part of the models: what models/scorer.py uses where it is there.

   The arrays are those of models/arrays.py, which checks them when they are loaded. They may be a mapped file that
   someone writes to meanwhile, so every index is compared with its bound again where it is used: a changed file can
   change scores, never lead outside. There is no global state; scratch memory belongs to one call and is bounded by
   the longest text that is read. */

#include "model.h"

static int fill(PyObject *module) {
    PyObject *type = PyType_FromSpec(&model_spec);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, "Model", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "kernel", "Scoring in C; see models/scorer.py.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_kernel(void) { return PyModuleDef_Init(&module); }
