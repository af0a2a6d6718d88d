/* The compiled part of the models: what models/scorer.py and models/identifier.py use where it is there.

   The arrays are those of models/arrays.py and models/ngrams.py, which check them when they are loaded. They may be a mapped file that
   someone writes to meanwhile, so every index is compared with its bound again where it is used: a changed file can
   change scores, never lead outside. There is no global state; scratch memory belongs to one call and is bounded by
   the longest text that is read. */

#include "types.h"

static int add(PyObject *module, const char *name, PyType_Spec *spec) {
    PyObject *type = PyType_FromSpec(spec);
    if (type == NULL) return -1;
    int failed = PyModule_AddObjectRef(module, name, type);
    Py_DECREF(type);
    return failed;
}

static int fill(PyObject *module) {
    return add(module, "Model", &model_spec) < 0 || add(module, "Identifier", &identifier_spec) < 0 ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "kernel", "The models in C; see models/scorer.py and models/identifier.py.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_kernel(void) { return PyModuleDef_Init(&module); }
