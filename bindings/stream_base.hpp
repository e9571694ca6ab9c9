// toroni._core.StreamBase: one process's access to a bus, whatever the messages on it look like.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "arguments.hpp"
#include "gil.hpp"
#include "outbox.hpp"
#include "plain_message.hpp"
#include "session.hpp"

namespace toroni::bindings {

// kind, group, interface, port, the application's own object: from toroni/_notifiers.py.
using NotifierChoice = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint16_t, nb::object>;

class StreamBase {
public:
    StreamBase(ring::Options options, const std::string& role, const std::optional<NotifierChoice>& notifier,
               nb::handle backpressure);

    void close() { session_.reset(); }
    [[nodiscard]] bool is_closed() const { return session_ == nullptr; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[noreturn]] void raise_role() const;  // the role that it was opened with does not allow this
    // Good until Python code may run; then a copy is.
    [[nodiscard]] const std::shared_ptr<Session>& session() const;          // raises Closed
    [[nodiscard]] const std::shared_ptr<Session>& writing_session() const;  // and InvalidArgument if the role may not

    [[nodiscard]] const Policy& default_policy() const { return default_policy_; }
    [[nodiscard]] Policy policy(nb::handle backpressure) const {
        return backpressure.is_none() ? default_policy_ : to_policy(backpressure);
    }
    // An empty one. Raises as writing_session().
    [[nodiscard]] Outbox outbox() const {
        const Session& session = *writing_session();
        session.writer.prepare_to_lock();
        return Outbox(session.writer.max_body());
    }
    // The same for one plain message.
    [[nodiscard]] PlainMessage plain_message() const {
        const Session& session = *writing_session();
        session.writer.prepare_to_lock();
        return PlainMessage(session.writer.max_body());
    }
    blocking::WriteResult write(const ring::Batch& messages, const Policy& policy) const;
    // `result` says what was written also where it raises.
    void write(const ring::Batch& messages, const Policy& policy, blocking::WriteResult& result) const;
    // Where the message went; None if it was dropped.
    [[nodiscard]] nb::object write_one(const ring::Batch& message, const Policy& policy) const;

    // For Python's cycle collector: a policy may be a callable that leads back here.
    static int traverse(PyObject* self, visitproc visit, void* arg);
    static int clear(PyObject* self);

private:
    static std::shared_ptr<Session> open(const ring::Options& options, std::shared_ptr<CustomNotifier> custom);

    std::string name_;
    Policy default_policy_;
    std::shared_ptr<Session> session_;
};

template <class Derived>
void def_init(nb::class_<Derived, StreamBase>& bound) {
    bound.def(
        "__init__",
        [](Derived* self, const std::string& name, std::uint64_t capacity, std::uint32_t max_readers,
           const std::string& role, bool create, std::uint32_t mode, std::optional<gid_t> group,
           const std::string& directory, const std::optional<NotifierChoice>& notifier, nb::handle backpressure) {
            const ring::Options options{.name = name,
                                        .capacity = capacity,
                                        .max_readers = max_readers,
                                        .mode = mode,
                                        .create = create,
                                        .directory = directory,
                                        .group = group};
            new (self) Derived(options, role, notifier, backpressure);
        },
        nb::arg("name"), nb::arg("capacity"), nb::arg("max_readers"), nb::arg("role"), nb::arg("create"),
        nb::arg("mode"), nb::arg("group").none(), nb::arg("directory"), nb::arg("notifier").none(),
        nb::arg("backpressure").none());
}

void bind_stream_base(nb::module_& module);
void bind_stream(nb::module_& module);  // of raw messages
void bind_bus(nb::module_& module);     // of messages with topics

}  // namespace toroni::bindings
