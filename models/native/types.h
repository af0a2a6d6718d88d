/* The types of the module. */

#ifndef AJIL_TYPES_H
#define AJIL_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec model_spec, identifier_spec;

#endif
