// toroni._core.Stream: a stream of raw messages.
#include "stream_base.hpp"

namespace toroni::bindings {

namespace {

class Stream : public StreamBase {
    using StreamBase::StreamBase;
};

nb::object write(const Stream& self, nb::args buffers, nb::handle backpressure) {
    const auto session = self.writing_session();
    const Policy chosen = self.policy(backpressure);
    Outbox messages;
    for (nb::handle buffer : buffers) messages.add_part(buffer);
    messages.end_message(session->writer.max_body());
    const auto result = self.write(*session, messages, chosen);
    return result.count == 0 ? nb::none() : nb::cast(result.last);
}

std::size_t write_many(const Stream& self, nb::iterable iterable, nb::handle backpressure) {
    const auto session = self.writing_session();
    const Policy chosen = self.policy(backpressure);
    Outbox messages;
    messages.reserve_for(iterable, 1);
    for (nb::handle buffer : iterable) {
        messages.add_part(buffer);
        messages.end_message(session->writer.max_body());
    }
    return self.write(*session, messages, chosen).count;
}

}  // namespace

void bind_stream(nb::module_& module) {
    nb::class_<Stream, StreamBase> stream(module, "Stream", "A raw stream; use toroni.rmp.Stream.");
    def_init(stream);
    stream
        .def("write", &write, nb::arg("buffers"), nb::kw_only(), nb::arg("backpressure") = nb::none(),
             nb::sig("def write(self, *buffers: AnyBuffer, "
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
    WriterStalled: the policy is Wait, and a process that does not go on held the writer mutex all the time.
    Closed: after close(). TypeError, BufferError: not a contiguous buffer.)")
        .def("write_many", &write_many, nb::arg("messages"), nb::kw_only(), nb::arg("backpressure") = nb::none(),
             nb::sig("def write_many(self, messages: Iterable[AnyBuffer], *, "
                     "backpressure: Backpressure | None = None) -> int"),
             R"(Writes messages behind each other, as many as fit the ring under one lock and one wake-up.

Where they do not fit one publication, other writers' messages may come in between.

Args:
    messages: one buffer each.
    backpressure: as for `write`.

Returns:
    How many were written: all, unless policy Drop dropped the rest.

Raises:
    As `write`; NoRoom says how many were written. Bad messages are found before any is written.)");
}

}  // namespace toroni::bindings
