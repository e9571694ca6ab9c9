// toroni._core.Reader: reads a stream of raw messages.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "columns.hpp"
#include "native_call.hpp"
#include "new_list.hpp"
#include "reader_base.hpp"

namespace toroni::bindings {

namespace {

class Reader : public ReaderBase {
public:
    using ReaderBase::ReaderBase;
    nb::object read(std::optional<double> timeout);
    nb::object next();  // none at all at the end
    nb::object read_many(std::size_t most, std::optional<double> timeout, bool with_positions);
    nb::tuple read_columns(std::size_t most, std::optional<double> timeout);
};

// One message.
struct Single {
    nb::object message = nb::none();
    base::Position last = 0;
    void take(const ring::Reader& reader) { copy_each(reader, *this); }
    void clear() { message = nb::none(); }
    void start(std::size_t) {}
    void add(const ring::Frame& frame, nb::object&& body) {
        last = frame.position;
        message = std::move(body);
    }
};

// A list of messages, or of them with their positions.
struct Many {
    explicit Many(bool positions) : with_positions(positions) {}
    NewList list;
    bool with_positions;
    base::Position last = 0;
    void take(const ring::Reader& reader) { copy_each(reader, *this); }
    void clear() { start(0); }
    void start(std::size_t count) { list.start(count); }
    void add(const ring::Frame& frame, nb::object&& body) {
        last = frame.position;
        if (with_positions) list.add(nb::make_tuple(frame.position, body));
        else list.add(std::move(body));
    }
};

nb::object Reader::read(std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    Single single;
    const Use use(*this, deadline);
    if (use && fetch(1, most_bytes_a_run, deadline, single)) note_last(single.last);
    return single.message;
}

nb::object Reader::next() {
    if (is_closed()) return {};
    try {
        return read(std::nullopt);
    } catch (const nb::python_error& error) {
        if (!is_closed() || !error.matches(error_class("Closed"))) throw;
        return {};
    }
}

nb::object Reader::read_many(std::size_t most, std::optional<double> timeout, bool with_positions) {
    const blocking::Deadline deadline(to_timeout(timeout));
    check_most(most);
    Many many(with_positions);
    const Use use(*this, deadline);
    if (use && fetch(most, most_bytes_a_run, deadline, many)) note_last(many.last);
    return many.list.get();
}

nb::tuple Reader::read_columns(std::size_t most, std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    check_most(most);
    Columns columns;
    const Use use(*this, deadline);
    if (use && fetch(most, most_bytes_a_run, deadline, columns)) note_last(columns.last());
    return columns.get();
}

}  // namespace

void bind_raw_reader(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
                                  {Py_tp_iternext, reinterpret_cast<void*>(&next_of<Reader>)},
                                  {0, nullptr}};
    nb::class_<Reader, ReaderBase>(module, "Reader", nb::type_slots(slots),
                                   "A position in a raw stream; use toroni.rmp.Stream.reader().")
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
        .def("_read_columns", &Reader::read_columns, nb::arg("max"), nb::arg("timeout").none(),
             nb::sig("def _read_columns(self, max: int, timeout: float | None) -> "
                     "tuple[bytes, bytes, bytes, int | None]"));
}

}  // namespace toroni::bindings
