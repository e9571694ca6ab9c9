// Methods that the interpreter calls directly, where nanobind's own way would cost more than what they do.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>

#include "errors.hpp"

namespace toroni::bindings {

// The native object of a Python one. Raises where __init__ was never called.
template <class T>
T& native(PyObject* self) {
    if (!nb::inst_ready(self)) throw nb::type_error("__init__() has not been called");
    return *nb::inst_ptr<T>(self);
}

// Runs `code`, which returns an nb::object; what it throws is set as a Python exception.
template <class Code>
PyObject* guarded(Code&& code) noexcept {
    try {
        return code().release().ptr();
    } catch (nb::python_error& error) {
        error.restore();
    } catch (...) {
        set_error(std::current_exception());
    }
    return nullptr;
}

// The keyword arguments of a METH_FASTCALL function: `take(is, value)` for each, where is("name") tells whether it is
// that one; false if it is none.
template <class Take>
void take_keywords(const char* function, PyObject* const* values, PyObject* names, Take&& take) {
    const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* name = PyTuple_GET_ITEM(names, i);
        const auto is = [name](const char* expected) { return PyUnicode_CompareWithASCIIString(name, expected) == 0; };
        if (take(is, nb::handle(values[i]))) continue;
        throw nb::type_error(nb::str("{}() has no argument {}").format(function, nb::repr(name)).c_str());
    }
}

// tp_iternext of a class with next().
template <class T>
PyObject* next_of(PyObject* self) noexcept {
    return guarded([self] { return native<T>(self).next(); });
}

}  // namespace toroni::bindings
