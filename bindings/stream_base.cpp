#include "stream_base.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "python_waiter.hpp"
#include "status.hpp"
#include "toroni/ring/slot_table.hpp"

namespace toroni::bindings {

namespace {

// Shorter copies are over before another thread could have taken the GIL.
constexpr std::uint64_t copy_without_gil = 16 * 1024;

[[noreturn]] void raise_no_room(const ring::Memory& memory, const ring::Writer& writer, const ring::Batch& rest,
                                std::size_t written) {
    const auto slow = writer.readers_in_the_way(rest);
    std::string text = "no room for a message of " + std::to_string(rest.length()) + " bytes";
    for (const auto& reader : slow) {
        text += "; " + ring::describe({reader}) + " is " + std::to_string(reader.lag) + " bytes (" +
                std::to_string(reader.lag * 100 / memory.capacity()) + " % of the ring) behind";
    }
    raise(call(error_class("NoRoom"), nb::make_tuple(to_str(text), slow, written)));
}

[[noreturn]] void raise_stalled(const ring::Memory& memory, const ring::Writer& writer) {
    const auto pid = writer.lock_holder();
    const std::string who = pid != 0 ? "process " + std::to_string(pid) : "another process";
    const std::string or_sleeps = memory.expects_foreign() ? ", or a C++ or Java process that waits for a reader" : "";
    raise("WriterStalled", who +
                               " has held the writer mutex all the time: it is stopped (SIGSTOP, a debugger) or "
                               "starved" +
                               or_sleeps + "; continue it (kill -CONT) or end it");
}

ring::Role to_role(const std::string& role) {
    if (role == "both") return ring::Role::both;
    if (role == "reader") return ring::Role::reader;
    if (role == "writer") return ring::Role::writer;
    if (role == "observer") return ring::Role::observer;
    raise("InvalidArgument", "role must be 'both', 'reader', 'writer' or 'observer'; got '" + role + "'");
}

// Asks the application's callable about slow readers. Keeps the session from the moment on when Python code may run,
// which may close the bus.
class WriteWaiter : public PythonWaiter {
public:
    WriteWaiter(const std::shared_ptr<Session>& session, nb::handle callable)
        : session_(session), writer_(session->writer), callable_(callable) {
        if (session->notifier_is_custom) keep();
    }
    void before_wait() {
        keep();
        PythonWaiter::before_wait();
    }
    blocking::Answer ask(const ring::Batch& rest) {
        using blocking::Answer;
        keep();
        return with_gil([&] {
            const auto now = blocking::Clock::now();
            if (attempt_++ == 0) began_ = now;
            const std::chrono::duration<double> waited = now - began_;
            const nb::tuple told =
                nb::make_tuple(writer_.readers_in_the_way(rest), rest.length(), attempt_, waited.count());
            const nb::object answer = call(callable_, nb::make_tuple(call(error_class("SlowReaders"), told)));
            const auto text = nb::isinstance<nb::str>(answer) ? nb::cast<std::string>(answer) : "";
            if (text == "retry") return Answer::retry;
            attempt_ = 0;
            if (text == "overwrite") return Answer::overwrite;
            if (text == "drop") return Answer::drop;
            raise("InvalidArgument", "a backpressure callable answers 'retry', 'overwrite' or 'drop'; got " +
                                         nb::cast<std::string>(nb::repr(answer)));
        });
    }

private:
    void keep() {
        if (!kept_) kept_ = session_;
    }
    const std::shared_ptr<Session>& session_;
    std::shared_ptr<Session> kept_;
    const ring::Writer& writer_;
    nb::handle callable_;
    std::size_t attempt_ = 0;
    blocking::Clock::time_point began_;
};

}  // namespace

StreamBase::StreamBase(ring::Options options, const std::string& role, const std::optional<NotifierChoice>& notifier,
                       nb::handle backpressure)
    : name_(options.name), default_policy_(to_policy(backpressure)) {
    options.role = to_role(role);
    std::shared_ptr<CustomNotifier> custom;
    if (notifier) {
        const auto& [kind, group, interface, port, object] = *notifier;
        options.notifier = {static_cast<base::NotifierKind>(kind), group, interface, port, 0};
        if (!object.is_none()) custom = std::make_shared<CustomNotifier>(object);
    }
    session_ = open(options, std::move(custom));
}

std::shared_ptr<Session> StreamBase::open(const ring::Options& options, std::shared_ptr<CustomNotifier> custom) {
    const ReleasedGil released;  // a large ring takes a while to allocate and map
    // What cannot be notified is not made.
    if (options.notifier && options.notifier->kind == base::NotifierKind::multicast) {
        static_cast<void>(blocking::make_notifier(*options.notifier));
    }
    return std::make_shared<Session>(ring::Memory::open(options), std::move(custom));
}

const std::shared_ptr<Session>& StreamBase::session() const {
    if (!session_) raise("Closed", "'" + name_ + "' is closed");
    return session_;
}

void StreamBase::raise_role() const {
    const bool writes = session()->memory->role() == ring::Role::writer;
    const char* role = writes ? "writer" : session()->memory->role() == ring::Role::reader ? "reader" : "observer";
    raise("InvalidArgument", "'" + name_ + "' was opened with role='" + role + "'");
}

const std::shared_ptr<Session>& StreamBase::writing_session() const {
    if (session_ && session_->memory->may_write()) return session_;
    static_cast<void>(session());
    raise_role();
}

blocking::WriteResult StreamBase::write(const ring::Batch& messages, const Policy& policy) const {
    blocking::WriteResult result;
    write(messages, policy, result);
    return result;
}

nb::object StreamBase::write_one(const ring::Batch& message, const Policy& policy) const {
    blocking::WriteResult result;
    write(message, policy, result);
    if (result.count == 0) return nb::none();
    nb::object position = nb::steal(PyLong_FromUnsignedLongLong(result.last));
    if (!position.is_valid()) throw nb::python_error();
    return position;
}

void StreamBase::write(const ring::Batch& messages, const Policy& policy, blocking::WriteResult& result) const {
    const std::shared_ptr<Session>& shared = writing_session();
    Session& session = *shared;
    WriteWaiter waiter(shared, policy.callable);
    if (messages.bytes() > copy_without_gil) waiter.before_wait();
    blocking::write(*session.memory, session.writer, *session.notifier, messages, policy.request, waiter, result);
    waiter.finish();
    if (result.status == blocking::WriteStatus::lock_timeout) raise_stalled(*session.memory, session.writer);
    if (result.status == blocking::WriteStatus::unusable) {
        raise("BusDamaged", "the writer mutex of '" + name_ + "' is damaged; remove the bus and make it anew");
    }
    if (result.status == blocking::WriteStatus::no_room && !policy.drop) {
        raise_no_room(*session.memory, session.writer, messages.from(result.count), result.count);
    }
}

int StreamBase::traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<StreamBase>(self)->default_policy_.callable.ptr());
    return 0;
}

int StreamBase::clear(PyObject* self) {
    if (nb::inst_ready(self)) nb::inst_ptr<StreamBase>(self)->default_policy_.callable = nb::none();
    return 0;
}

void bind_stream_base(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&StreamBase::traverse)},
                                  {Py_tp_clear, reinterpret_cast<void*>(&StreamBase::clear)},
                                  {0, nullptr}};
    nb::class_<StreamBase>(module, "StreamBase", nb::type_slots(slots), "A bus, open in this process.")
        .def("_close", &StreamBase::close)
        .def(
            "stats", [](const StreamBase& self) { return statistics_of(*self.session()); },
            "The counters now. Raises Closed.")
        .def(
            "readers", [](const StreamBase& self) { return ring::list_readers(*self.session()->memory); },
            "Everybody who holds a reader slot, dead owners included. Raises Closed.")
        .def_prop_ro(
            "name", [](const StreamBase& self) { return self.name(); }, "The bus's name.")
        .def_prop_ro("closed", &StreamBase::is_closed, "Whether close() was called.")
        .def_prop_ro(
            "capacity", [](const StreamBase& self) { return self.session()->memory->capacity(); }, "Bytes in the ring.")
        .def_prop_ro(
            "max_readers", [](const StreamBase& self) { return self.session()->memory->max_readers(); },
            "Number of reader slots.")
        .def_prop_ro(
            "max_message", [](const StreamBase& self) { return self.session()->writer.max_body(); },
            "Bytes in the largest message; on a bus with topics the topic and 10 bytes more are part of it.")
        .def_prop_ro(
            "position",
            [](const StreamBase& self) {
                return self.session()->memory->ring().free_pos.load(std::memory_order_acquire);
            },
            "Stream end: where the next message goes.")
        .def_prop_ro("_notifier",
                     [](const StreamBase& self) {
                         const auto& notifier = self.session()->memory->notifier();
                         return std::make_tuple(static_cast<std::uint32_t>(notifier.kind), notifier.group,
                                                notifier.interface, notifier.port);
                     })
        .def_prop_ro("_generation", [](const StreamBase& self) { return self.session()->memory->generation(); })
        .def("_new_generation", [](const StreamBase& self) {
            const auto session = self.session();
            if (!session->memory->may_read()) self.raise_role();
            return session->memory->new_generation();
        });
    module.def("_unlink", &ring::Memory::remove, nb::arg("name"), nb::arg("directory"));
}

}  // namespace toroni::bindings
