// A list whose length is known when it is made.
#pragma once

#include <nanobind/nanobind.h>

namespace toroni::bindings {

namespace nb = nanobind;

class NewList {
public:
    // Forgets what was added. Then exactly `count` times add().
    void start(std::size_t count) {
        list_ = nb::steal(PyList_New(static_cast<Py_ssize_t>(count)));
        if (!list_.is_valid()) throw nb::python_error();
        size_ = 0;
    }
    void add(nb::object&& item) { PyList_SET_ITEM(list_.ptr(), size_++, item.release().ptr()); }
    // An empty one if nothing was started.
    [[nodiscard]] nb::object get() {
        if (!list_.is_valid()) start(0);
        return std::move(list_);
    }

private:
    nb::object list_;
    Py_ssize_t size_ = 0;
};

}  // namespace toroni::bindings
