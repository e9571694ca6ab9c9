// Topics: str in Python, UTF-8 in the ring. Bytes of others that are no UTF-8 become surrogates, and back.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

#include "errors.hpp"
#include "toroni/base/layout.hpp"

namespace toroni::bindings {

// A str as UTF-8, ended by a NUL, as long as owner() lives.
class TopicName {
public:
    explicit TopicName(nb::handle topic) : owner_(nb::borrow(topic)) {
        if (!PyUnicode_Check(topic.ptr())) {
            throw nb::type_error(nb::str("a topic is a str; got {}").format(nb::type_name(topic.type())).c_str());
        }
        Py_ssize_t size = 0;
        const char* text = PyUnicode_AsUTF8AndSize(topic.ptr(), &size);
        if (text == nullptr) {
            PyErr_Clear();
            owner_ = nb::steal(PyUnicode_AsEncodedString(topic.ptr(), "utf-8", "surrogateescape"));
            if (!owner_.is_valid()) throw nb::python_error();
            text = PyBytes_AS_STRING(owner_.ptr());
            size = PyBytes_GET_SIZE(owner_.ptr());
        }
        text_ = std::string_view(text, static_cast<std::size_t>(size));
        if (text_.find('\0') != std::string_view::npos) raise("InvalidArgument", "a topic holds no NUL");
        if (text_.size() > base::max_topic_size) {
            raise("InvalidArgument", "a topic has at most " + std::to_string(base::max_topic_size) + " bytes of UTF-8");
        }
    }
    [[nodiscard]] std::string_view text() const noexcept { return text_; }
    [[nodiscard]] const nb::object& owner() const noexcept { return owner_; }

private:
    nb::object owner_;
    std::string_view text_;
};

inline nb::object to_topic(std::string_view name) {
    PyObject* decoded = PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "surrogateescape");
    if (decoded == nullptr) throw nb::python_error();
    return nb::steal(decoded);
}

}  // namespace toroni::bindings
