// What a subscriber of the benchmark does with each message, native so that it costs every library the same few
// nanoseconds: length, number, order.
#pragma once

#include <Python.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "floors_pair.hpp"

namespace toroni::floors {

// The first 8 bytes of a message: publisher << 48 | number, little-endian. The same messages are sent over and over.
// END is the number of a publisher's last.
constexpr std::uint64_t END = (std::uint64_t{1} << 48) - 1;

class Checker {
public:
    // Numbers begin again at 0 behind `cycle` - 1.
    Checker(std::uint64_t size, std::uint64_t publishers, std::uint64_t cycle)
        : size_(size), cycle_(cycle), next_(publishers), received_by_(publishers) {
        if (cycle == 0 || cycle > END) throw std::invalid_argument("a cycle has at least 1 number");
        if (size < 8) throw std::invalid_argument("a message has at least 8 bytes");
    }

    // Whether it was a message, and others will come. With an error set if it was no buffer.
    bool accept(PyObject* message) {
        if (message == Py_None) return false;
        look(message);
        if (accepted_ == 1) start();
        if (accepted_ % STAMP_EVERY == 0 || ended_ == next_.size()) stamp();
        return ended_ < next_.size();
    }

    // The same for a list or tuple.
    bool accept_many(PyObject* messages) {
        PyObject* sequence = PySequence_Fast(messages, "a batch is a sequence");
        if (!sequence) return false;
        const Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence);
        const bool first = accepted_ == 0;
        for (Py_ssize_t index = 0; index < count; ++index) look(PySequence_Fast_GET_ITEM(sequence, index));
        Py_DECREF(sequence);
        if (count > 0 && first) start();
        if (count > 0) stamp();
        return count > 0 && ended_ < next_.size();
    }

    // The same for messages behind each other: where each begins, and where the last one ends. With an error set if
    // those are no buffers.
    bool accept_columns(PyObject* data, PyObject* offsets) {
        Py_buffer all, places;
        if (PyObject_GetBuffer(data, &all, PyBUF_SIMPLE) != 0) return false;
        if (PyObject_GetBuffer(offsets, &places, PyBUF_SIMPLE) != 0) {
            PyBuffer_Release(&all);
            return false;
        }
        const auto* from = static_cast<const std::uint64_t*>(places.buf);
        const auto* const last = from + places.len / static_cast<Py_ssize_t>(sizeof *from) - 1;
        const bool first = accepted_ == 0, any = from < last;
        for (; from < last; ++from) {
            const bool inside = from[0] <= from[1] && from[1] <= static_cast<std::uint64_t>(all.len);
            look(static_cast<const char*>(all.buf) + (inside ? from[0] : 0), inside ? from[1] - from[0] : 0);
        }
        PyBuffer_Release(&all);
        PyBuffer_Release(&places);
        if (any && first) start();
        if (any) stamp();
        return any && ended_ < next_.size();
    }

    [[nodiscard]] bool ended() const { return ended_ == next_.size(); }
    [[nodiscard]] std::uint64_t damaged() const { return damaged_; }
    [[nodiscard]] std::uint64_t disordered() const { return disordered_; }
    [[nodiscard]] std::uint64_t order() const { return order_; }
    [[nodiscard]] const std::vector<std::uint64_t>& received_by() const { return received_by_; }

    // When the first message, or the first batch, had been looked at, and how many came later until `last_time`.
    [[nodiscard]] std::int64_t first_time() const { return first_time_; }
    [[nodiscard]] std::int64_t last_time() const { return last_time_; }
    [[nodiscard]] std::uint64_t timed() const { return at_last_time_ - at_first_time_; }

private:
    static constexpr std::uint64_t STAMP_EVERY = 16;  // a clock costs half of what the rest does

    void look(PyObject* message) {
        if (PyBytes_CheckExact(message)) {
            look(PyBytes_AS_STRING(message), static_cast<std::uint64_t>(PyBytes_GET_SIZE(message)));
            return;
        }
        Py_buffer view;
        if (PyObject_GetBuffer(message, &view, PyBUF_SIMPLE) != 0) {
            PyErr_Clear();
            ++damaged_;
            return;
        }
        look(static_cast<const char*>(view.buf), static_cast<std::uint64_t>(view.len));
        PyBuffer_Release(&view);
    }

    void look(const char* bytes, std::uint64_t length) {
        ++accepted_;
        std::uint64_t head = 0;
        if (length >= sizeof(head)) std::memcpy(&head, bytes, sizeof(head));
        const std::uint64_t publisher = head >> 48, number = head & END;
        if (length != size_ || publisher >= next_.size() || (number >= cycle_ && number != END)) {
            ++damaged_;
            return;
        }
        order_ = (order_ ^ head) * 0x9E3779B97F4A7C15;  // a different one for another order
        if (number == END) {
            ++ended_;
            return;
        }
        ++received_by_[publisher];
        std::uint64_t& next = next_[publisher];
        // More than half a cycle ahead is behind.
        const std::uint64_t ahead = number >= next ? number - next : number + cycle_ - next;
        if (ahead > cycle_ / 2) ++disordered_;
        else next = number + 1 == cycle_ ? 0 : number + 1;
    }

    void start() {
        first_time_ = last_time_ = now();
        at_first_time_ = at_last_time_ = accepted_;
    }
    void stamp() {
        last_time_ = now();
        at_last_time_ = accepted_;
    }

    std::uint64_t size_, cycle_;
    std::vector<std::uint64_t> next_, received_by_;  // of each publisher
    std::uint64_t accepted_ = 0, ended_ = 0, damaged_ = 0, disordered_ = 0, order_ = 0;
    std::int64_t first_time_ = 0, last_time_ = 0;
    std::uint64_t at_first_time_ = 0, at_last_time_ = 0;
};

}  // namespace toroni::floors
