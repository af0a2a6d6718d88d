/* The type Model: arrays in, methods out. models/arrays.py has checked the arrays when they were loaded. */

#include "model.h"
#include "types.h"

#include <math.h>
#include <string.h>

static size_t items(const Model *model, int section, size_t size) {
    return (size_t)model->section[section].len / size;
}

static PyObject *new_model(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    Model *model = (Model *)type->tp_alloc(type, 0);
    if (model == NULL) return NULL;
    Py_buffer *s = model->section;
    Py_ssize_t longest;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "Model takes no keyword arguments");
        goto failed;
    }
    if (!PyArg_ParseTuple(args, "ny*y*y*y*y*y*y*", &longest, &s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6])) {
        memset(s, 0, sizeof model->section); /* a failed parse has released what it took */
        goto failed;
    }
    model->page_index = s[PAGE_INDEX].buf;
    model->pages = s[PAGES].buf;
    model->words = s[WORDS].buf;
    model->word_slots = s[WORD_SLOTS].buf;
    model->pair_slots = s[PAIR_SLOTS].buf;
    model->rows = s[ROWS].buf;
    model->intercept = s[INTERCEPT].buf;
    model->longest = (size_t)longest;
    model->page_count = items(model, PAGES, 4 * 256);
    model->word_size = items(model, WORDS, 4);
    model->classes = items(model, INTERCEPT, 8);
    model->stride = sizeof(Row) + (model->classes + 3) / 4 * 4 * sizeof(float);
    model->terms = items(model, ROWS, model->stride);
    size_t word_slots = items(model, WORD_SLOTS, 8), pair_slots = items(model, PAIR_SLOTS, 8);
    model->word_mask = word_slots - 1;
    model->pair_mask = pair_slots - 1;
    int aligned = 1;
    for (int i = 0; i < SECTIONS; i++) aligned &= (uintptr_t)s[i].buf % 8 == 0;
    if (!aligned || longest < 1 || longest > 1 << 28 || model->classes < 1 || model->classes > 256 || model->terms < 1 ||
        model->terms >= NONE || model->word_size < 3 || model->word_size >= NONE || model->terms * model->stride != (size_t)s[ROWS].len ||
        items(model, PAGE_INDEX, 2) != 0x1100 || s[PAGES].len % 1024 != 0 ||
        !is_power_of_two(word_slots) || !is_power_of_two(pair_slots)) {
        PyErr_SetString(PyExc_ValueError, "the arrays do not fit one another");
        goto failed;
    }
    for (int i = 1; i < LOGS; i++) {
        model->log_plus_one[i] = 1 + log((double)i);
        model->log_half[i] = log((double)i / 2);
    }
    uint64_t inverse = BASE; /* right in 3 bits, twice as many with each step */
    for (int i = 0; i < 5; i++) inverse *= 2 - BASE * inverse;
    model->powers[0] = model->inverses[0] = 1;
    for (int i = 0; i < HASHED; i++) model->powers[i + 1] = model->powers[i] * BASE;
    for (int i = 0; i < PREFIX; i++) model->inverses[i + 1] = model->inverses[i] * inverse;
    return (PyObject *)model;
failed:
    Py_DECREF(model);
    return NULL;
}

static void free_model(Model *model) {
    PyTypeObject *type = Py_TYPE(model);
    for (int i = 0; i < SECTIONS; i++)
        if (model->section[i].obj != NULL) PyBuffer_Release(&model->section[i]);
    type->tp_free(model);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"score", (PyCFunction)score, METH_VARARGS, "score(texts, marks, decision, counts, most, Term) -> explanations"},
    {"key_terms", (PyCFunction)key_terms, METH_VARARGS, "key_terms(title, body, most, known) -> JSON"},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_model}, {Py_tp_dealloc, free_model}, {Py_tp_methods, methods}, {0, NULL},
};

PyType_Spec model_spec = {"models.native.kernel.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT, slots};
