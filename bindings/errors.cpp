#include "errors.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "gil.hpp"

namespace toroni::bindings {

using base::ErrorCode;

namespace {

PyObject* classes = nullptr;  // a dict, kept as long as the process lives

const char* class_name_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return "InvalidArgument";
        case ErrorCode::permission_denied: return "PermissionDenied";
        case ErrorCode::no_space: return "SharedMemoryFull";
        case ErrorCode::not_found: return "BusNotFound";
        case ErrorCode::not_ready: return "BusNotReady";
        case ErrorCode::damaged: return "BusDamaged";
        case ErrorCode::incompatible: return "BusMismatch";
        case ErrorCode::slots_exhausted: return "NoFreeSlot";
        case ErrorCode::system: return "OperatingSystemError";
    }
    return "ToroniError";
}

// With the number of the system call's error, where one failed.
void set_error_of_core(const base::Error& error) noexcept {
    try {
        const nb::object raised = call(error_class(class_name_of(error.code())), nb::make_tuple(to_str(error.what())));
        if (error.number() != 0) nb::setattr(raised, "errno", nb::int_(error.number()));
        PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
    } catch (nb::python_error& instead) {  // no memory, or a signal handler that raised
        instead.restore();
    }
}

void register_classes(nb::dict by_name) {
    if (classes == nullptr) classes = PyDict_New();
    if (classes == nullptr || PyDict_Update(classes, by_name.ptr()) != 0) throw nb::python_error();
}

}  // namespace

nb::object to_str(const std::string& text) {
    PyObject* decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
    if (decoded == nullptr) throw nb::python_error();
    return nb::steal(decoded);
}

nb::object error_class(const char* name) {
    PyObject* found = classes == nullptr ? nullptr : PyDict_GetItemString(classes, name);
    return nb::borrow(found == nullptr ? PyExc_RuntimeError : found);
}

nb::object call(nb::handle callable, const nb::tuple& arguments) {
    PyObject* result = call_python(callable.ptr(), arguments.ptr());
    if (result == nullptr) throw nb::python_error();
    return nb::steal(result);
}

void raise(const char* class_name, const std::string& message) {
    PyErr_SetObject(error_class(class_name).ptr(), to_str(message).ptr());
    throw nb::python_error();
}

void raise(nb::handle exception) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
    throw nb::python_error();
}

nb::object make_loss(const ring::Loss& loss, const std::string& label) {
    const char* name = loss.cause == ring::ReadStatus::restarted ? "StreamRestarted"
                       : loss.cause == ring::ReadStatus::damaged ? "StreamDamaged"
                       : loss.cause == ring::ReadStatus::refused ? "MalformedMessage"
                                                                 : "MessagesLost";
    return call(error_class(name), nb::make_tuple(loss.bytes, loss.messages, loss.from, loss.to, label));
}

void set_error(const std::exception_ptr& thrown) noexcept {
    try {
        std::rethrow_exception(thrown);
    } catch (const base::Error& error) {
        set_error_of_core(error);
    } catch (const nb::builtin_exception& error) {
        const bool is_type = error.type() == nb::exception_type::type_error;
        PyErr_SetString(is_type ? PyExc_TypeError : PyExc_ValueError, error.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
}

void bind_errors(nb::module_& module) {
    module.def("_register_classes", &register_classes, nb::arg("classes"),
               "Takes classes that are made here but defined in Python, by name: errors and SlowReaders.");
    nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
        try {
            std::rethrow_exception(thrown);
        } catch (const base::Error&) {
            set_error(thrown);
        }
    });
}

}  // namespace toroni::bindings
