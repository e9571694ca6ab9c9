// The messages that one call writes.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "errors.hpp"
#include "topic_name.hpp"
#include "toroni/ring/writer.hpp"
#include "toroni/topic/message.hpp"

namespace toroni::bindings {

// Their buffers stay exported until it ends.
class Outbox {
public:
    Outbox() = default;
    ~Outbox() {
        for (Py_buffer& view : views_) PyBuffer_Release(&view);
    }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    void reserve(std::size_t messages, std::size_t parts) {
        lengths_.reserve(messages);
        views_.reserve(parts);
        parts_.reserve(parts);
    }

    // The same for as many messages as an iterable says that it has, which may be anything.
    void reserve_for(nb::handle iterable, std::size_t parts_a_message) {
        const Py_ssize_t expected = PyObject_LengthHint(iterable.ptr(), 0);
        if (expected < 0) throw nb::python_error();
        const auto messages = std::min(static_cast<std::size_t>(expected), std::size_t{1} << 20);
        reserve(messages, messages * parts_a_message);
    }

    // Begins a message with a topic, a str.
    void add_topic(topic::Generation generation, bool descendants, nb::handle name) {
        const TopicName topic(name);
        prefixes_.push_back(topic::encode_prefix(generation, descendants));
        parts_.push_back({nullptr, prefixes_.back().size()});  // outgoing() knows where
        parts_.push_back({topic.text().data(), topic.text().size() + 1});
        length_ += prefixes_.back().size() + topic.text().size() + 1;
        kept_.push_back(topic.owner());
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
    [[nodiscard]] std::vector<ring::Outgoing> outgoing() {
        const auto* prefix = prefixes_.data();
        for (ring::Part& piece : parts_) {
            if (piece.data == nullptr && piece.size != 0) piece.data = (prefix++)->data();
        }
        std::vector<ring::Outgoing> all;
        all.reserve(lengths_.size());
        const ring::Part* part = parts_.data();
        for (const auto& [count, length] : lengths_) {
            all.push_back({{part, count}, length});
            part += count;
        }
        return all;
    }

    // All parts behind each other.
    [[nodiscard]] nb::bytes joined() {
        nb::bytes all = nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(total_)));
        if (!all.is_valid()) throw nb::python_error();
        char* to = PyBytes_AS_STRING(all.ptr());
        for (const ring::Outgoing& message : outgoing()) {
            for (const ring::Part& part : message.parts) {
                if (part.size != 0) std::memcpy(to, part.data, part.size);
                to += part.size;
            }
        }
        return all;
    }

private:
    struct Extent {
        std::size_t parts;
        std::uint64_t length;
    };
    std::vector<Py_buffer> views_;
    std::vector<nb::object> kept_;
    std::vector<std::array<std::byte, base::topic_name_offset>> prefixes_;
    std::vector<ring::Part> parts_;
    std::vector<Extent> lengths_;
    std::size_t first_part_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t total_ = 0;
};

}  // namespace toroni::bindings
