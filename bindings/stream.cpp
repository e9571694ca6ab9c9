// toroni._core.Stream: a stream of raw messages.
#include "each.hpp"
#include "native_call.hpp"
#include "stream_base.hpp"

namespace toroni::bindings {

namespace {

class Stream : public StreamBase {
    using StreamBase::StreamBase;
};

nb::object write_message(const Stream& self, PyObject* const* buffers, Py_ssize_t count, PyObject* names) {
    if (names == nullptr) {
        PlainMessage message = self.plain_message();
        if (message.add_parts(buffers, count)) return self.write_one(message.batch(), self.default_policy());
    }
    nb::handle backpressure = nb::none();
    take_keywords("write", buffers + count, names, [&](const auto& is, nb::handle value) {
        if (is("backpressure")) backpressure = value;
        return is("backpressure");
    });
    Outbox messages = self.outbox();
    for (Py_ssize_t i = 0; i < count; ++i) messages.add_part(buffers[i]);
    messages.end_message();
    return self.write_one(messages.batch(), self.policy(backpressure));
}

PyObject* write(PyObject* self, PyObject* const* buffers, Py_ssize_t count, PyObject* names) noexcept {
    return guarded([&] { return write_message(native<Stream>(self), buffers, count, names); });
}

std::size_t write_many(const Stream& self, nb::iterable iterable, nb::handle backpressure) {
    Outbox messages = self.outbox();
    messages.reserve_for(iterable, 1);
    for_each(iterable, [&](nb::handle buffer) {
        messages.keep(buffer);
        messages.add_part(buffer);
        messages.end_message();
    });
    return self.write(messages.batch(), self.policy(backpressure)).count;
}

constexpr const char* write_doc =
    R"(Writes one message, of one or more buffers behind each other, 1 to `max_message` bytes in all.

Args:
    buffers: bytes, bytearray, memoryview, array, NumPy arrays ...: anything contiguous.
    backpressure: what to do about slow readers, instead of the stream's own policy.

Returns:
    The message's position in the stream; None if policy Drop dropped it.

Raises:
    InvalidArgument: the message is empty.
    MessageTooLarge: it does not fit the ring.
    NoRoom: slow readers, and the policy is Fail.
    WriterStalled: the policy is Wait, and a process that does not go on held the writer mutex all the time.
    Closed: after close(). TypeError, BufferError: not a contiguous buffer.)";

PyMethodDef native_methods[] = {
    {"write", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&write)), METH_FASTCALL | METH_KEYWORDS, write_doc},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void bind_stream(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_methods, native_methods}, {0, nullptr}};
    nb::class_<Stream, StreamBase> stream(module, "Stream", nb::type_slots(slots),
                                          "A raw stream; use toroni.rmp.Stream.");
    def_init(stream);
    stream.def("write_many", &write_many, nb::arg("messages"), nb::kw_only(), nb::arg("backpressure") = nb::none(),
               nb::sig("def write_many(self, messages: Iterable[AnyBuffer], *, "
                       "backpressure: Backpressure | None = None) -> int"),
               R"(Writes messages behind each other, as many as fit the ring under one lock and one wake-up.

Where they do not fit one publication, other writers' messages may come in between.

Args:
    messages: one buffer each.
    backpressure: as for `write`.

Returns:
    How many were written: all, unless policy Drop dropped the rest.

Raises what `write` raises; NoRoom says how many were written. Bad messages are found before any is written.)");
}

}  // namespace toroni::bindings
