// toroni.BorrowedMessage: a message shown in place.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "session.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

class TopicReader;

// The memory that is shown, and the reader's loan of it: both end with the last view, unless given back before. The
// memory stays mapped as long as anybody looks at it, whatever becomes of reader and bus.
class Loan {
public:
    // Of a message in the ring.
    Loan(nb::object reader, std::shared_ptr<Session> session, base::Position position, const void* data,
         std::size_t size)
        : reader_(std::move(reader)), session_(std::move(session)), position_(position), data_(data), size_(size) {}
    // Of a copy, a bytes object.
    explicit Loan(nb::object copy);
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;

    // None if it was whole to the end, else a MessagesLost to be raised; if not `tell`, the next read tells of it.
    // Idempotent.
    nb::object give_back(bool tell);
    [[nodiscard]] bool is_shown() const { return exports_ != 0; }

    static int get_buffer(PyObject* self, Py_buffer* view, int flags);
    static void release_buffer(PyObject* self, Py_buffer*);
    static int traverse(PyObject* self, visitproc visit, void* arg);
    static int clear(PyObject* self);

private:
    void give_back_silently() noexcept;

    nb::object reader_;  // a TopicReader, until it was given back
    nb::object copy_;
    std::shared_ptr<Session> session_;
    base::Position position_ = 0;
    const void* data_;
    std::size_t size_;
    int exports_ = 0;
};

class Borrowed {
public:
    // `loan` is a Loan.
    Borrowed(nb::object loan, nb::object topic, base::Position position);

    void release();
    [[nodiscard]] nb::object data() const { return view_; }
    [[nodiscard]] nb::object topic() const { return topic_; }
    [[nodiscard]] base::Position position() const { return position_; }

    static int traverse(PyObject* self, visitproc visit, void* arg);
    static int clear(PyObject* self);

private:
    nb::object loan_;
    nb::object view_;  // a memoryview of it
    nb::object topic_;
    base::Position position_;
    bool is_released_ = false;
};

void bind_borrowed(nb::module_& module);

}  // namespace toroni::bindings
