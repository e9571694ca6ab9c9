#include "stream.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "toroni/ring/slot_table.hpp"
#include "toroni/ring/tally.hpp"
#include "use_lock.hpp"

namespace toroni::bindings {

namespace {

// Shorter copies are over before another thread could have taken the GIL.
constexpr std::uint64_t copy_without_gil = 16 * 1024;

[[noreturn]] void raise_no_room(const ring::Memory& memory, const ring::Writer& writer, std::uint64_t length,
                                std::size_t written) {
    const auto slow = writer.readers_in_the_way(length);
    std::string text = "no room for a message of " + std::to_string(length) + " bytes";
    for (const auto& reader : slow) {
        text += "; " + ring::describe({reader}) + " is " + std::to_string(reader.lag) + " bytes (" +
                std::to_string(reader.lag * 100 / memory.capacity()) + " % of the ring) behind";
    }
    raise(error_class("NoRoom")(to_str(text), slow, written));
}

[[noreturn]] void raise_stalled(const ring::Writer& writer) {
    const auto pid = writer.lock_holder();
    const std::string who = pid != 0 ? "process " + std::to_string(pid) : "another process";
    raise("WriterStalled", who +
                               " has held the writer mutex all the time: it is stopped (SIGSTOP, a debugger) or "
                               "starved; continue it (kill -CONT) or end it");
}

struct Statistics {
    std::uint64_t capacity, max_readers, position, claimed;
    std::uint64_t messages, bytes, overwritten, backpressure, notifications, losses;
    std::int32_t lock_holder;
    bool is_foreign;
};

Statistics statistics(const Stream& stream) {
    const auto session = stream.session();
    const ring::Memory& memory = *session->memory;
    Statistics result{};
    result.capacity = memory.capacity();
    result.max_readers = memory.max_readers();
    result.claimed = memory.horizon();
    result.position = memory.ring().free_pos.load(std::memory_order_acquire);
    if (const auto* extension = memory.ring_extension()) {
        if (const auto count = ring::tally::newest(*extension)) {
            result.messages = count->messages;
            result.bytes = count->bytes;
        }
        result.overwritten = extension->overwritten.load(std::memory_order_relaxed);
    }
    result.backpressure = memory.ring().backpressure_count.load(std::memory_order_relaxed);
    result.notifications = memory.ring().notification_count.load(std::memory_order_relaxed);
    result.losses = memory.info().expired_readers.load(std::memory_order_relaxed);
    result.lock_holder = session->writer.lock_holder();
    result.is_foreign = memory.is_foreign();
    return result;
}

ring::Role to_role(const std::string& role) {
    if (role == "both") return ring::Role::both;
    if (role == "reader") return ring::Role::reader;
    if (role == "writer") return ring::Role::writer;
    raise("InvalidArgument", "role must be 'both', 'reader' or 'writer'; got '" + role + "'");
}

}  // namespace

std::shared_ptr<Session> Stream::session() const {
    if (!session_) raise("Closed", "the stream '" + name_ + "' is closed");
    return session_;
}

std::shared_ptr<Session> Stream::writing_session() const {
    auto session = this->session();
    if (!session->memory->may_write())
        raise("InvalidArgument", "the stream '" + name_ + "' was opened with role='reader'");
    return session;
}

blocking::WriteResult Stream::write_all(Session& session, const Messages& messages, const Policy& policy) {
    const auto outgoing = messages.outgoing();
    const blocking::WriteRequest request{outgoing, policy.may_wait, policy.overwrite, policy.timeout};
    PythonWaiter waiter;
    if (messages.total() > copy_without_gil) waiter.before_wait();
    const auto result = blocking::write(*session.memory, session.writer, request, waiter);
    waiter.finish();
    if (result.status == blocking::WriteStatus::lock_timeout) raise_stalled(session.writer);
    if (result.status == blocking::WriteStatus::unusable) {
        raise("BusDamaged", "the writer mutex of '" + name_ + "' is damaged; remove the bus and make it anew");
    }
    if (result.status == blocking::WriteStatus::no_room && !policy.drop) {
        raise_no_room(*session.memory, session.writer, outgoing[result.count].length, result.count);
    }
    return result;
}

nb::object Stream::write(nb::args buffers, nb::handle backpressure) {
    const auto session = writing_session();
    const Policy chosen = policy(backpressure);
    Messages messages;
    messages.reserve(1, buffers.size());
    for (nb::handle buffer : buffers) messages.add_part(buffer);
    messages.end_message(session->writer.max_body());
    const auto result = write_all(*session, messages, chosen);
    return result.count == 0 ? nb::none() : nb::cast(result.last);
}

std::size_t Stream::write_many(nb::iterable iterable, nb::handle backpressure) {
    const auto session = writing_session();
    const Policy chosen = policy(backpressure);
    Messages messages;
    const Py_ssize_t expected = PyObject_LengthHint(iterable.ptr(), 0);
    if (expected < 0) throw nb::python_error();
    const auto hint = std::min(static_cast<std::size_t>(expected), std::size_t{1} << 20);  // which may be anything
    messages.reserve(hint, hint);
    for (nb::handle buffer : iterable) {
        messages.add_part(buffer);
        messages.end_message(session->writer.max_body());
    }
    return write_all(*session, messages, chosen).count;
}

void bind_stream(nb::module_& module) {
    using ring::ReaderStatus;
    nb::class_<ReaderStatus>(module, "ReaderInfo", "A holder of a reader slot, dead owners included.")
        .def_ro("slot", &ReaderStatus::slot, "Index of the slot.")
        .def_ro("pid", &ReaderStatus::pid, "Process id; 0 if unknown.")
        .def_prop_ro(
            "label", [](const ReaderStatus& reader) { return to_str(reader.label); }, nb::sig("def label(self) -> str"),
            "What the reader calls itself; '' for a foreign one.")
        .def_ro("start_time", &ReaderStatus::start_time, "Start of the process, in clock ticks since boot.")
        .def_ro("alive", &ReaderStatus::alive, "False if its process died holding the slot (from the kernel's record).")
        .def_ro("active", &ReaderStatus::active, "Whether writers wait for it.")
        .def_ro("foreign", &ReaderStatus::foreign, "Whether it is a C++ or Java process.")
        .def_ro("waiting", &ReaderStatus::waiting, "Whether it sleeps until a message comes.")
        .def_ro("position", &ReaderStatus::position, "Stream position that it has published.")
        .def_ro("lag", &ReaderStatus::lag, "Bytes behind the stream end.")
        .def_ro("messages", &ReaderStatus::messages, "Messages read, as of its last report.")
        .def_ro("bytes", &ReaderStatus::bytes, "Bytes of payload read, likewise.")
        .def_ro("losses", &ReaderStatus::losses, "How often it was overtaken.")
        .def_ro("lost_bytes", &ReaderStatus::lost_bytes, "Bytes of the stream that it missed.")
        .def("__getstate__",
             [](const ReaderStatus& r) {
                 return nb::make_tuple(r.slot, r.pid, nb::bytes(r.label.data(), r.label.size()), r.start_time, r.alive,
                                       r.active, r.foreign, r.waiting, r.position, r.lag, r.messages, r.bytes, r.losses,
                                       r.lost_bytes);
             })
        .def("__setstate__",
             [](ReaderStatus& self, const nb::tuple& state) {
                 std::size_t i = 0;
                 const auto take = [&](auto& field) { field = nb::cast<std::decay_t<decltype(field)>>(state[i++]); };
                 ReaderStatus r;
                 take(r.slot), take(r.pid);
                 const auto label = nb::cast<nb::bytes>(state[i++]);
                 r.label.assign(label.c_str(), label.size());
                 take(r.start_time), take(r.alive), take(r.active), take(r.foreign), take(r.waiting), take(r.position);
                 take(r.lag), take(r.messages), take(r.bytes), take(r.losses), take(r.lost_bytes);
                 new (&self) ReaderStatus(std::move(r));
             })
        .def(
            "__repr__",
            [](const ReaderStatus& reader) {
                return to_str("<ReaderInfo slot " + std::to_string(reader.slot) + ": " + ring::describe({reader}) +
                              (reader.alive ? "" : ", dead") + ", " + std::to_string(reader.lag) + " bytes behind>");
            },
            nb::sig("def __repr__(self) -> str"));
    nb::class_<Statistics>(module, "Statistics", "Counters of a stream at one moment.")
        .def_ro("capacity", &Statistics::capacity, "Bytes in the ring.")
        .def_ro("max_readers", &Statistics::max_readers, "Number of reader slots.")
        .def_ro("position", &Statistics::position, "Stream end: bytes written since the stream was made.")
        .def_ro("claimed", &Statistics::claimed, "How far writes have been announced.")
        .def_ro("messages", &Statistics::messages, "Messages written since the stream was made.")
        .def_ro("bytes", &Statistics::bytes, "Bytes of payload written.")
        .def_ro("overwritten", &Statistics::overwritten, "Publications that overtook a live reader.")
        .def_ro("backpressure", &Statistics::backpressure, "How often a writer met readers in its way.")
        .def_ro("notifications", &Statistics::notifications, "Wake-ups sent.")
        .def_ro("losses", &Statistics::losses, "How often any reader was overtaken.")
        .def_ro("lock_holder", &Statistics::lock_holder, "Process id of the writer mutex's holder; 0 if nobody.")
        .def_ro("is_foreign", &Statistics::is_foreign, "Whether a C++ or Java process made a segment of it.");

    nb::class_<Stream>(module, "Stream", "A raw stream; use toroni.rmp.Stream.")
        .def(
            "__init__",
            [](Stream* self, const std::string& name, std::uint64_t capacity, std::uint32_t max_readers,
               const std::string& role, std::uint32_t mode, const std::string& directory, nb::handle backpressure) {
                new (self) Stream({name, capacity, max_readers, mode, to_role(role), directory}, backpressure);
            },
            nb::arg("name"), nb::arg("capacity"), nb::arg("max_readers"), nb::arg("role"), nb::arg("mode"),
            nb::arg("directory"), nb::arg("backpressure").none())
        .def("write", &Stream::write, nb::arg("buffers"), nb::kw_only(), nb::arg("backpressure") = nb::none(),
             nb::sig("def write(self, *buffers: Buffer, "
                     "backpressure: Backpressure | None = None) -> int | None"),
             R"(Writes one message, of one or more buffers behind each other, 1 to `max_message` bytes in all.

Args:
    buffers: bytes, bytearray, memoryview, array, NumPy arrays ...: anything contiguous.
    backpressure: what to do about slow readers, instead of the stream's own policy.

Returns:
    The message's position in the stream; None if policy Drop dropped it.

Raises:
    InvalidArgument: the message is empty. MessageTooLarge: it does not fit the ring.
    NoRoom: slow readers, and the policy is Fail.
    WriterStalled: the policy is Wait, and a stopped process held the writer mutex all the time.
    Closed: after close(). TypeError, BufferError: not a contiguous buffer.)")
        .def("write_many", &Stream::write_many, nb::arg("messages"), nb::kw_only(),
             nb::arg("backpressure") = nb::none(),
             nb::sig("def write_many(self, messages: Iterable[Buffer], *, "
                     "backpressure: Backpressure | None = None) -> int"),
             R"(Writes messages behind each other, as many as fit the ring under one lock and one wake-up.

Where they do not fit one publication, other writers' messages may come in between.

Args:
    messages: one buffer each.
    backpressure: as for `write`.

Returns:
    How many were written: all, unless policy Drop dropped the rest.

Raises:
    As `write`; NoRoom says how many were written. Bad messages are found before any is written.)")
        .def("_close", &Stream::close)
        .def("statistics", &statistics, "The counters now. Raises Closed.")
        .def(
            "readers", [](const Stream& self) { return ring::list_readers(*self.session()->memory); },
            "Everybody who holds a reader slot, dead owners included. Raises Closed.")
        .def_prop_ro(
            "name", [](const Stream& self) { return self.name(); }, "The bus's name.")
        .def_prop_ro("closed", &Stream::is_closed, "Whether close() was called.")
        .def_prop_ro(
            "capacity", [](const Stream& self) { return self.session()->memory->capacity(); }, "Bytes in the ring.")
        .def_prop_ro(
            "max_readers", [](const Stream& self) { return self.session()->memory->max_readers(); },
            "Number of reader slots.")
        .def_prop_ro(
            "max_message", [](const Stream& self) { return self.session()->writer.max_body(); },
            "Bytes in the largest message.")
        .def_prop_ro(
            "position",
            [](const Stream& self) { return self.session()->memory->ring().free_pos.load(std::memory_order_acquire); },
            "Stream end: where the next message goes.");
    module.def("_unlink", &ring::Memory::remove, nb::arg("name"), nb::arg("directory"));
}

}  // namespace toroni::bindings
