// toroni.BorrowedMessage: a message shown in place.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "session.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

// The memory that is shown: mapped as long as anybody looks at it, whatever becomes of reader and bus.
struct ShownBytes {
    std::shared_ptr<Session> session;  // where it lies in the ring
    nb::object owner;                  // where it is a copy
    const void* data;
    std::size_t size;
    int exports = 0;
};

class Borrowed {
public:
    // `reader` is a TopicReader; `in_ring` if it has lent a message of the ring, to be given back.
    Borrowed(nb::object reader, nb::object topic, base::Position position, ShownBytes shown, bool in_ring);
    ~Borrowed();
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

    void release();
    [[nodiscard]] nb::object data() const { return view_; }
    [[nodiscard]] nb::object topic() const { return topic_; }
    [[nodiscard]] base::Position position() const { return position_; }

private:
    bool give_back();

    nb::object reader_;
    nb::object topic_;
    base::Position position_;
    nb::object shown_;  // a ShownBytes
    nb::object view_;   // a memoryview of it
    bool in_ring_;
    bool is_released_ = false;
};

void bind_borrowed(nb::module_& module);

}  // namespace toroni::bindings
