// All items of an iterable.
#pragma once

#include <nanobind/nanobind.h>

namespace toroni::bindings {

namespace nb = nanobind;

// `take` keeps what it needs for longer. A list may change meanwhile, as under Python's own iteration.
template <class Take>
void for_each(nb::handle iterable, Take&& take) {
    PyObject* const all = iterable.ptr();
    if (PyList_CheckExact(all)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all); ++i) take(nb::borrow(PyList_GET_ITEM(all, i)));
    } else {
        for (nb::handle item : nb::iter(iterable)) take(item);
    }
}

}  // namespace toroni::bindings
