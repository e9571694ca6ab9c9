// toroni._core.Bus: a stream of messages with topics.
#include "each.hpp"
#include "native_call.hpp"
#include "stream_base.hpp"

namespace toroni::bindings {

namespace {

class Bus : public StreamBase {
public:
    using StreamBase::outbox;
    using StreamBase::StreamBase;
    // For messages that are created now.
    [[nodiscard]] Outbox outbox(bool descendants) const {
        const Session& session = *writing_session();
        session.writer.prepare_to_lock();
        return Outbox(session.writer.max_body(), session.memory->generation(), descendants, &topics_);
    }

    [[nodiscard]] const TopicCache& topics() const { return topics_; }

private:
    mutable TopicCache topics_;
};

nb::object post_message(const Bus& self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    if (names == nullptr && count != 0) {
        PlainMessage message = self.plain_message();
        if (message.add_topic(self.topics(), arguments[0], self.session()->memory->generation()) &&
            message.add_parts(arguments + 1, count - 1)) {
            return self.write_one(message.batch(), self.default_policy());
        }
    }
    bool descendants = false;
    nb::handle backpressure = nb::none(), topic;
    take_keywords("post", arguments + count, names, [&](const auto& is, nb::handle value) {
        if (is("descendants")) {
            if (!PyBool_Check(value.ptr())) throw nb::type_error("descendants must be a bool");
            descendants = value.ptr() == Py_True;
        } else if (is("backpressure")) {
            backpressure = value;
        } else if (is("topic")) {
            topic = value;
        } else {
            return false;
        }
        return true;
    });
    if (count != 0 && topic.is_valid()) throw nb::type_error("post() got two topics");
    if (count == 0 && !topic.is_valid()) throw nb::type_error("post() needs a topic");
    Py_ssize_t first = 0;
    if (!topic.is_valid()) topic = arguments[first++];
    Outbox messages = self.outbox(descendants);
    messages.add_topic(topic);
    for (Py_ssize_t i = first; i < count; ++i) messages.add_part(arguments[i]);
    messages.end_message();
    return self.write_one(messages.batch(), self.policy(backpressure));
}

PyObject* post(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) noexcept {
    return guarded([&] { return post_message(native<Bus>(self), arguments, count, names); });
}

constexpr const char* post_doc = R"(Posts one message.

Args:
    topic: any str without NUL; levels are separated by "/".
    buffers: the payload: any number of bytes, bytearray, memoryview, array, NumPy arrays ...: anything contiguous.
        They are written behind each other straight into the ring. None at all is an empty payload.
    descendants: also to the subscriptions to all topics below.
    backpressure: what to do about slow readers, instead of the bus's own policy.

Returns:
    The message's position in the stream, the same for all processes; None if policy Drop, or a callable's "drop",
    dropped it.

Raises:
    MessageTooLarge: topic and payload do not fit the ring.
    InvalidArgument: the topic holds a NUL.
    NoRoom: slow readers, and the policy is Fail.
    WriterStalled: the policy is Wait, and a process that does not go on held the writer mutex all the time.
    Closed: after close(). TypeError, BufferError: not a contiguous buffer.)";

PyMethodDef native_methods[] = {
    {"post", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&post)), METH_FASTCALL | METH_KEYWORDS, post_doc},
    {nullptr, nullptr, 0, nullptr}};

// One message of post_many: a tuple of a topic and its buffers.
void add_tuple(Outbox& messages, nb::handle item) {
    // A list may change under us: then its copy does not.
    const nb::object fields = PyList_Check(item.ptr()) ? nb::object(nb::tuple(item)) : nb::borrow(item);
    messages.keep(fields);
    if (!PyTuple_Check(fields.ptr()) || PyTuple_GET_SIZE(fields.ptr()) == 0) {
        throw nb::type_error(
            "post_many takes tuples of a topic and its buffers: [(\"/a\", b\"1\"), (\"/b\", b\"2\")], or with "
            "topic=\"/a\" payloads: [b\"1\", b\"2\"]");
    }
    messages.add_topic(PyTuple_GET_ITEM(fields.ptr(), 0));
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(fields.ptr()); ++i) {
        messages.add_part(PyTuple_GET_ITEM(fields.ptr(), i));
    }
}

std::size_t post_many(const Bus& self, nb::iterable iterable, nb::handle topic, bool descendants,
                      nb::handle backpressure) {
    Outbox messages = self.outbox(descendants);
    messages.reserve_for(iterable, 2);
    for_each(iterable, [&](nb::handle item) {
        if (topic.is_none()) {
            add_tuple(messages, item);
        } else {
            messages.keep(item);
            messages.add_topic(topic);
            messages.add_part(item);
        }
        messages.end_message();
    });
    return self.write(messages.batch(), self.policy(backpressure)).count;
}

// A message of now, complete with its generation, to be written as a raw one later.
nb::bytes encode(const Bus& self, nb::handle topic, nb::args buffers, bool descendants) {
    Outbox messages = self.outbox(descendants);
    messages.add_topic(topic);
    for (nb::handle buffer : buffers) messages.add_part(buffer);
    messages.end_message();
    return messages.joined();
}

// Raises TypeError where `backpressure` is none of the policies.
void check_policy(const Bus& self, nb::handle backpressure) { static_cast<void>(self.policy(backpressure)); }

// How many were written, and what was raised then, or None.
nb::tuple post_encoded(const Bus& self, const nb::list& bodies, nb::handle backpressure) {
    Outbox messages = self.outbox();
    messages.reserve_for(bodies, 1);
    for_each(bodies, [&](nb::handle body) {
        messages.keep(body);
        messages.add_encoded(body);
        messages.end_message();
    });
    blocking::WriteResult result;
    try {
        self.write(messages.batch(), self.policy(backpressure), result);
    } catch (const nb::python_error& error) {
        return nb::make_tuple(result.count, nb::borrow(error.value()));
    }
    return nb::make_tuple(result.count, nb::none());
}

}  // namespace

void bind_bus(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_methods, native_methods}, {0, nullptr}};
    nb::class_<Bus, StreamBase> bus(module, "Bus", nb::type_slots(slots), "A bus; use toroni.Bus.");
    def_init(bus);
    bus.def("post_many", &post_many, nb::arg("messages"), nb::kw_only(), nb::arg("topic") = nb::none(),
            nb::arg("descendants") = false, nb::arg("backpressure") = nb::none(),
            nb::sig("def post_many(self, messages: Iterable[Any], *, topic: str | None = None, "
                    "descendants: bool = False, backpressure: Backpressure | None = None) -> int"),
            R"(Posts messages behind each other, as many as fit the ring under one lock and one wake-up.

Where they do not fit one publication, other writers' messages may come in between.

Args:
    messages: tuples of a topic and its buffers, as for `post`: [("/a", b"1"), ("/b", b"2")].
    topic: of all of them; then `messages` are payloads, one buffer each: [b"1", b"2"].
    descendants: as for `post`, for all of them.
    backpressure: as for `post`.

Returns:
    How many were posted: all, unless policy Drop, or a callable's "drop", dropped the rest.

Raises what `post` raises; NoRoom says how many were written. Bad messages are found before any is written.)")
        .def("_check_policy", &check_policy, nb::arg("backpressure").none())
        .def("_encode", &encode, nb::arg("topic"), nb::arg("buffers"), nb::kw_only(), nb::arg("descendants") = false)
        .def("_post_encoded", &post_encoded, nb::arg("bodies"), nb::kw_only(), nb::arg("backpressure").none());
}

}  // namespace toroni::bindings
