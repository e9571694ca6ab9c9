// toroni._core.Reader: reads a stream of raw messages.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "reader_base.hpp"

namespace toroni::bindings {

namespace {

class Reader : public ReaderBase {
public:
    using ReaderBase::ReaderBase;
    nb::object read(std::optional<double> timeout);
    nb::object next();
    nb::list read_many(std::size_t most, std::optional<double> timeout, bool with_positions);
};

nb::object Reader::read(std::optional<double> timeout) {
    nb::object message = nb::none();
    const blocking::Deadline deadline(to_timeout(timeout));
    if (const Use use(*this, deadline); use) {
        fetch(1, most_bytes_a_run, deadline, [&](const ring::Frame& frame, nb::object&& body) {
            note_last(frame.position);
            message = std::move(body);
        });
    }
    return message;
}

nb::object Reader::next() {
    if (is_closed()) throw nb::stop_iteration();
    try {
        return read(std::nullopt);
    } catch (const nb::python_error& error) {
        if (!is_closed() || !error.matches(error_class("Closed"))) throw;
        throw nb::stop_iteration();
    }
}

nb::list Reader::read_many(std::size_t most, std::optional<double> timeout, bool with_positions) {
    if (most == 0) raise("InvalidArgument", "max must be at least 1");
    nb::list messages;
    const blocking::Deadline deadline(to_timeout(timeout));
    if (const Use use(*this, deadline); use) {
        fetch(most, most_bytes_a_run, deadline, [&](const ring::Frame& frame, nb::object&& body) {
            note_last(frame.position);
            if (with_positions) messages.append(nb::make_tuple(frame.position, body));
            else messages.append(body);
        });
    }
    return messages;
}

}  // namespace

void bind_raw_reader(nb::module_& module) {
    nb::class_<Reader, ReaderBase>(module, "Reader", "A position in a raw stream; use toroni.rmp.Stream.reader().")
        .def(nb::init<const StreamBase&, nb::handle, const std::string&, nb::handle>(), nb::arg("stream"),
             nb::arg("start").none(), nb::arg("label"), nb::arg("on_loss").none())
        .def("read", &Reader::read, nb::arg("timeout") = nb::none(),
             nb::sig("def read(self, timeout: float | None = None) -> bytes | None"),
             R"(The next message; waits for it without using the CPU.

Args:
    timeout: seconds to wait at most; None for ever, 0 not at all.

Returns:
    The message, or None if there was none in time.

Raises:
    MessagesLost: this reader was overtaken, and on_loss is "raise"; the next read goes on behind the gap.
    InUse: called from a signal handler that interrupted a read of the same reader.
    Closed: after close(), also by another thread during the wait.)")
        .def("_read_many", &Reader::read_many, nb::arg("max"), nb::arg("timeout").none(), nb::arg("with_positions"),
             nb::sig("def _read_many(self, max: int, timeout: float | None, with_positions: bool) -> "
                     "list[Any]"))
        .def(
            "__iter__", [](nb::handle self) { return nb::borrow(self); }, nb::sig("def __iter__(self) -> Self"))
        .def("__next__", &Reader::next, nb::sig("def __next__(self) -> bytes"));
}

}  // namespace toroni::bindings
