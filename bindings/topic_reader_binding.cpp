// toroni._core.TopicReader as Python sees it.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "native_call.hpp"
#include "topic_reader.hpp"

namespace toroni::bindings {

void bind_topic_reader(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
                                  {Py_tp_iternext, reinterpret_cast<void*>(&next_of<TopicReader>)},
                                  {0, nullptr}};
    nb::class_<TopicReader, ReaderBase>(module, "TopicReader", nb::type_slots(slots),
                                        "A position in a bus; use toroni.Bus.subscribe().")
        .def(nb::init<const StreamBase&, nb::handle, const std::string&, nb::handle>(), nb::arg("bus"),
             nb::arg("start").none(), nb::arg("label"), nb::arg("on_loss").none())
        .def("_subscribe", &TopicReader::subscribe, nb::arg("topic"), nb::arg("descendants"), nb::arg("historic"),
             nb::arg("has_handler") = false)
        .def("_unsubscribe", &TopicReader::unsubscribe, nb::arg("id"))
        .def("_take_for_dispatch", &TopicReader::take_for_dispatch, nb::arg("end"),
             nb::sig("def _take_for_dispatch(self, end: int) -> tuple[Message, list[int]] | Literal[False] | None"))
        .def("recv", &TopicReader::recv, nb::arg("timeout") = nb::none(),
             nb::sig("def recv(self, timeout: float | None = None) -> Message | None"),
             R"(The next message of the topics subscribed to; waits for it without using the CPU.

Args:
    timeout: seconds to wait at most; None for ever, 0 not at all.

Returns:
    The message, or None if there was none in time.

Raises:
    MessagesLost: this reader was overtaken, and on_loss is "raise"; the next call goes on behind the gap.
    InUse: a borrowed message has not been released; or called from a signal handler that interrupted this reader.
    Closed: after close(), also by another thread during the wait.)")
        .def("recv_many", &TopicReader::recv_many, nb::arg("max") = 1024, nb::arg("timeout") = nb::none(),
             nb::sig("def recv_many(self, max: int = 1024, timeout: float | None = None) -> list[Message]"),
             R"(What is there now, up to `max` messages; waits for the first one as `recv` does.

Returns:
    The messages in order; an empty list after `timeout` seconds without any. Perhaps fewer than there are.

Raises what `recv` raises, and InvalidArgument if `max` is less than 1.)")
        .def("_recv_columns", &TopicReader::recv_columns, nb::arg("max"), nb::arg("timeout").none(),
             nb::sig("def _recv_columns(self, max: int, timeout: float | None) -> "
                     "tuple[tuple[bytes, bytes, bytes, int | None], bytes, tuple[str, ...]]"))
        .def("tally", &TopicReader::tally, nb::arg("max") = 65536, nb::arg("timeout") = nb::none(),
             nb::sig("def tally(self, max: int = 65536, timeout: float | None = None) -> dict[str, tuple[int, int]]"),
             R"(Takes what is there now, as `recv_many`, but counts it only: no payload is copied.

Returns:
    For each topic the number of messages and the bytes of their payloads; an empty dict after `timeout` seconds
    without any. Perhaps fewer than there are.

Raises what `recv_many` raises.)")
        .def(
            "borrow",
            [](nb::handle_t<TopicReader> self, std::optional<double> timeout) {
                return native<TopicReader>(self.ptr()).borrow(self, timeout);
            },
            nb::arg("timeout") = nb::none(),
            nb::sig("def borrow(self, timeout: float | None = None) -> BorrowedMessage | None"),
            R"(The next message as `recv`, but shown in place, without a copy. Release it before the next read:

    with reader.borrow() as message:
        image = numpy.frombuffer(message.data, numpy.uint8).copy()

Returns:
    The message, or None if there was none in time.

Raises what `recv` raises.)");
}

}  // namespace toroni::bindings
