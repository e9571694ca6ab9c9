// Takes the messages of a run as bytes objects.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "gil.hpp"
#include "toroni/ring/reader.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

// Copies of more bytes in one call are made without the GIL.
inline constexpr std::uint64_t copy_without_gil = 64 * 1024;

// Makes the objects, and fills each at once, or all of them without the GIL if they are long.
class Copies {
public:
    explicit Copies(const ring::Reader& reader)
        : reader_(reader), bodies_(reader.bodies()), are_long_(reader.run_bytes() > copy_without_gil) {}
    [[nodiscard]] nb::object make(const ring::Frame& frame) {
        nb::object made = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(frame.payload())));
        if (!made.is_valid()) throw nb::python_error();
        auto* to = reinterpret_cast<std::byte*>(PyBytes_AS_STRING(made.ptr()));
        if (are_long_) later_.push_back(to);
        else bodies_.copy(frame, to);
        return made;
    }
    void finish() {
        if (!are_long_) return;
        const ReleasedGil released;
        auto to = later_.begin();
        for (const ring::Frame& frame : reader_.frames()) bodies_.copy(frame, *to++);
    }

private:
    const ring::Reader& reader_;
    ring::Bodies bodies_;
    bool are_long_;
    std::vector<std::byte*> later_;
};

// `sink.start(count)`, then `sink.add(frame, bytes)` for each message of the run.
template <class Sink>
void copy_each(const ring::Reader& reader, Sink& sink) {
    const auto frames = reader.frames();
    Copies copies(reader);
    sink.start(frames.size());
    for (const ring::Frame& frame : frames) sink.add(frame, copies.make(frame));
    copies.finish();
}

}  // namespace toroni::bindings
