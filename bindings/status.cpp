#include "status.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "errors.hpp"
#include "toroni/ring/slot_table.hpp"
#include "toroni/ring/tally.hpp"

namespace toroni::bindings {

Statistics statistics_of(const Session& session) {
    const ring::Memory& memory = *session.memory;
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
    result.lock_holder = session.writer.lock_holder();
    result.is_foreign = memory.is_foreign();
    result.is_unlinked = memory.is_unlinked();
    if (const auto* extension = memory.ring_extension()) {
        result.created = static_cast<double>(extension->identity.created_ns) / 1e9;
    }
    return result;
}

void bind_status(nb::module_& module) {
    using ring::ReaderStatus;
    nb::class_<ReaderStatus>(module, "ReaderInfo", "A holder of a reader slot, dead owners included.")
        .def_ro("slot", &ReaderStatus::slot, "Index of the slot.")
        .def_ro("pid", &ReaderStatus::pid, "Process id; 0 if unknown.")
        .def_prop_ro(
            "label", [](const ReaderStatus& reader) { return to_str(reader.label); }, nb::sig("def label(self) -> str"),
            "What the reader calls itself; '' for a foreign one.")
        .def_ro("start_time", &ReaderStatus::start_time,
                "Start of the process, in clock ticks since boot; 0 if it could not open /proc then.")
        .def_ro("alive", &ReaderStatus::alive, "False if its process died holding the slot (from the kernel's record).")
        .def_ro("active", &ReaderStatus::active, "Whether writers wait for it.")
        .def_ro("foreign", &ReaderStatus::foreign, "Whether it is a C++ or Java process.")
        .def_ro("waiting", &ReaderStatus::waiting, "Whether it sleeps until a message comes.")
        .def_ro("position", &ReaderStatus::position, "Stream position that it has published.")
        .def_ro("lag", &ReaderStatus::lag, "Bytes behind the stream end.")
        .def_ro("lag_percent", &ReaderStatus::lag_percent, "The same, in percent of the ring's capacity.")
        .def_ro("messages", &ReaderStatus::messages, "Messages read, as of its last report.")
        .def_ro("bytes", &ReaderStatus::bytes, "Bytes of payload read, likewise.")
        .def_ro("losses", &ReaderStatus::losses, "How often it was overtaken.")
        .def_ro("lost_bytes", &ReaderStatus::lost_bytes, "Bytes of the stream that it missed.")
        .def("__getstate__",
             [](const ReaderStatus& r) {
                 return nb::make_tuple(r.slot, r.pid, nb::bytes(r.label.data(), r.label.size()), r.start_time, r.alive,
                                       r.active, r.foreign, r.waiting, r.position, r.lag, r.lag_percent, r.messages,
                                       r.bytes, r.losses, r.lost_bytes);
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
                 take(r.lag), take(r.lag_percent), take(r.messages), take(r.bytes), take(r.losses), take(r.lost_bytes);
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
        .def_ro("claimed", &Statistics::claimed,
                "How far writes have been announced, the ones under way and some of those to come.")
        .def_ro("messages", &Statistics::messages, "Messages written since the stream was made.")
        .def_ro("bytes", &Statistics::bytes, "Bytes of payload written.")
        .def_ro("overwritten", &Statistics::overwritten, "Publications that overtook a live reader.")
        .def_ro("backpressure", &Statistics::backpressure, "How often a writer met readers in its way.")
        .def_ro("notifications", &Statistics::notifications, "Wake-ups sent.")
        .def_ro("losses", &Statistics::losses, "How often any reader was overtaken.")
        .def_ro("lock_holder", &Statistics::lock_holder, "Process id of the writer mutex's holder; 0 if nobody.")
        .def_ro("is_foreign", &Statistics::is_foreign, "Whether a C++ or Java process made a segment of it.")
        .def_ro("is_unlinked", &Statistics::is_unlinked,
                "Whether the bus's name was removed: whoever opens it now makes another one.")
        .def_ro("created", &Statistics::created,
                "When the bus was made, in seconds since the epoch; None where a C++ or Java process made it.")
        .def("__repr__", [](const Statistics& s) {
            return "<Statistics: " + std::to_string(s.messages) + " messages, " + std::to_string(s.bytes) +
                   " bytes; at " + std::to_string(s.position) + " of a ring of " + std::to_string(s.capacity) + "; " +
                   std::to_string(s.losses) + " losses, " + std::to_string(s.overwritten) + " overwritten" +
                   (s.is_unlinked ? "; unlinked>" : ">");
        });
}

}  // namespace toroni::bindings
