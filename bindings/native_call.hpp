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

// tp_iternext of a class with next().
template <class T>
PyObject* next_of(PyObject* self) noexcept {
    return guarded([self] { return native<T>(self).next(); });
}

}  // namespace toroni::bindings
