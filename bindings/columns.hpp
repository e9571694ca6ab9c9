// Takes the messages of a run in columns: their payloads behind each other, where each begins, where each stood in the
// stream. No object for any of them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>

#include "copies.hpp"

namespace toroni::bindings {

// Numbers in a bytes object, in the machine's order.
template <class Number>
class Column {
public:
    Number* start(std::size_t count) {
        made_ = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count * sizeof(Number))));
        if (!made_.is_valid()) throw nb::python_error();
        return reinterpret_cast<Number*>(PyBytes_AS_STRING(made_.ptr()));
    }
    [[nodiscard]] nb::object get() { return std::move(made_); }

private:
    nb::object made_;
};

class Columns {
public:
    Columns() { clear(); }
    void take(const ring::Reader& reader) {
        const auto frames = reader.frames();
        const ring::Bodies bodies = reader.bodies();
        const bool is_long = reader.run_bytes() > copy_without_gil;
        fill(
            frames, reader.run_bytes(), is_long, [&](const ring::Frame& frame) { return frame.position; },
            [&](const ring::Frame& frame) { return frame.payload(); },
            [&](const ring::Frame& frame, std::byte* to) { bodies.copy(frame, to); });
    }
    // Forgets what was there. Then all of `messages`, whose payloads have so many bytes together.
    template <class Messages, class PositionOf, class SizeOf, class Copy>
    void fill(const Messages& messages, std::uint64_t bytes, bool without_gil, const PositionOf& position_of,
              const SizeOf& size_of, const Copy& copy) {
        const std::size_t count = std::size(messages);
        auto* to = data_.start(bytes);
        auto* offset = offsets_.start(count + 1);
        auto* position = positions_.start(count);
        std::optional<ReleasedGil> released;
        if (without_gil) released.emplace();
        const std::uint64_t first_size = count == 0 ? 0 : size_of(*std::begin(messages));
        std::uint64_t differ = 0;
        std::int64_t end = 0;
        *offset++ = end;
        for (const auto& message : messages) {
            const std::uint64_t size = size_of(message);
            copy(message, to + end);
            differ |= size ^ first_size;
            *offset++ = end += static_cast<std::int64_t>(size);
            *position++ = last_ = position_of(message);
        }
        if (differ == 0) size_ = first_size;
        else size_.reset();
    }
    void clear() {
        data_.start(0);
        *offsets_.start(1) = 0;
        positions_.start(0);
        size_ = 0;
    }
    [[nodiscard]] base::Position last() const { return last_; }
    // Data, offsets, positions, and the size that all messages have, or None.
    [[nodiscard]] nb::tuple get() {
        nb::object size = size_ ? nb::object(nb::int_(*size_)) : nb::none();
        return nb::make_tuple(data_.get(), offsets_.get(), positions_.get(), std::move(size));
    }

private:
    Column<std::byte> data_;
    Column<std::int64_t> offsets_;
    Column<base::Position> positions_;
    std::optional<std::uint64_t> size_;
    base::Position last_ = 0;
};

}  // namespace toroni::bindings
