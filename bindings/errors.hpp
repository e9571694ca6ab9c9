// Errors of the core as Python exceptions. The classes are Python's (toroni/_errors.py), handed in at import.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <string>

#include "toroni/base/error.hpp"
#include "toroni/ring/reader.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

// Takes the classes by name, and translates base::Error into them from now on.
void bind_errors(nb::module_& module);

// Text of the core as str: labels are other processes' bytes, and names may be any.
[[nodiscard]] nb::object to_str(const std::string& text);

// Raises the class of that name with a message.
[[noreturn]] void raise(const char* class_name, const std::string& message);
// Raises an exception object.
[[noreturn]] void raise(nb::handle exception);

// Sets a C++ exception as Python's, as nanobind would.
void set_error(const std::exception_ptr& thrown) noexcept;

// A new MessagesLost, StreamRestarted, StreamDamaged or MalformedMessage.
[[nodiscard]] nb::object make_loss(const ring::Loss& loss, const std::string& label);
// A class of toroni/_errors.py or _backpressure.py.
[[nodiscard]] nb::object error_class(const char* name);
// Calls Python code; throws what it raises.
nb::object call(nb::handle callable, const nb::tuple& arguments);

}  // namespace toroni::bindings
