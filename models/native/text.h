/* Code points of a str, in whichever width it keeps them. */

#ifndef AJIL_TEXT_H
#define AJIL_TEXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

typedef struct {
    const void *data;
    size_t length;
    int kind;
} Text;

INLINE uint32_t read_at(const void *data, int kind, size_t i) {
    return kind == 1 ? ((const uint8_t *)data)[i] : kind == 2 ? ((const uint16_t *)data)[i] : ((const uint32_t *)data)[i];
}

/* Py_UNICODE_ISSPACE, which is a call for all but ASCII; there is no space between U+0100 and U+1680. */
INLINE int is_space(uint32_t code) { return code - 0x100 >= 0x1580 && Py_UNICODE_ISSPACE(code); }

/* The first `longest` code points of a str; -1 and an exception for anything else. */
static inline int text_of(PyObject *object, size_t longest, Text *text) {
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "texts and marks are str, not %.100s", Py_TYPE(object)->tp_name);
        return -1;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(object) < 0) return -1;
#endif
    size_t length = (size_t)PyUnicode_GET_LENGTH(object);
    *text = (Text){PyUnicode_DATA(object), length < longest ? length : longest, (int)PyUnicode_KIND(object)};
    return 0;
}

#endif
