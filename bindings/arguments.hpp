// Python arguments -> what the core takes.
#pragma once

#include <nanobind/nanobind.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "blocking.hpp"
#include "errors.hpp"

namespace toroni::bindings {

// Seconds, None for ever.
inline std::optional<os::Nanoseconds> to_timeout(std::optional<double> seconds) {
    if (!seconds || *seconds == HUGE_VAL) return std::nullopt;
    if (!(*seconds >= 0)) raise("InvalidArgument", "a timeout is None or a number of seconds from 0");
    constexpr double longest = 365.0 * 86400;
    return os::Nanoseconds{static_cast<std::int64_t>(std::min(*seconds, longest) * 1e9)};
}

struct Policy {
    bool may_wait = true;
    bool overwrite = true;
    bool drop = false;
    std::optional<os::Nanoseconds> timeout = os::Nanoseconds{1'000'000'000};
};

// From a policy object of toroni/_backpressure.py.
inline Policy to_policy(nb::handle object) {
    if (!nb::hasattr(object, "_rule")) {
        throw nb::type_error("backpressure must be one of Wait(), Overwrite(), Drop(), Fail()");
    }
    const auto rule = nb::cast<std::string>(object.attr("_rule"));
    Policy policy{
        .may_wait = rule == "wait", .overwrite = rule == "wait" || rule == "overwrite", .drop = rule == "drop"};
    if (policy.may_wait) {
        const nb::object timeout = object.attr("timeout");
        const double seconds = timeout.is_none() ? HUGE_VAL : PyFloat_AsDouble(timeout.ptr());
        if (PyErr_Occurred() != nullptr) throw nb::python_error();
        policy.timeout = to_timeout(seconds);
    }
    return policy;
}

// The messages of one call: their buffers stay exported until it ends.
class Messages {
public:
    Messages() = default;
    ~Messages() {
        for (Py_buffer& view : views_) PyBuffer_Release(&view);
    }
    Messages(const Messages&) = delete;
    Messages& operator=(const Messages&) = delete;

    void reserve(std::size_t messages, std::size_t parts) {
        lengths_.reserve(messages);
        views_.reserve(parts);
        parts_.reserve(parts);
    }

    // Adds a buffer to the message that end_message() ends.
    void add_part(nb::handle object) {
        Py_buffer view;
        if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
        views_.push_back(view);
        parts_.push_back({view.buf, static_cast<std::size_t>(view.len)});
        length_ += static_cast<std::uint64_t>(view.len);
    }

    void end_message(std::uint64_t longest) {
        if (length_ == 0) raise("InvalidArgument", "a raw message has at least 1 byte");
        if (length_ > longest) {
            raise("MessageTooLarge", "a message of " + std::to_string(length_) +
                                         " bytes does not fit this ring, whose "
                                         "largest is " +
                                         std::to_string(longest) + "; make it with a larger capacity");
        }
        lengths_.push_back({parts_.size() - first_part_, length_});
        first_part_ = parts_.size();
        total_ += length_;
        length_ = 0;
    }

    [[nodiscard]] std::uint64_t total() const { return total_; }

    // Valid as long as nothing is added.
    [[nodiscard]] std::vector<ring::Outgoing> outgoing() const {
        std::vector<ring::Outgoing> all;
        all.reserve(lengths_.size());
        const ring::Part* part = parts_.data();
        for (const auto& [count, length] : lengths_) {
            all.push_back({{part, count}, length});
            part += count;
        }
        return all;
    }

private:
    struct Extent {
        std::size_t parts;
        std::uint64_t length;
    };
    std::vector<Py_buffer> views_;
    std::vector<ring::Part> parts_;
    std::vector<Extent> lengths_;
    std::size_t first_part_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t total_ = 0;
};

}  // namespace toroni::bindings
