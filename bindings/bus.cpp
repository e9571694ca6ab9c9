// toroni._core.Bus: a stream of messages with topics.
#include "native_call.hpp"
#include "stream_base.hpp"

namespace toroni::bindings {

namespace {

class Bus : public StreamBase {
    using StreamBase::StreamBase;
};

// The keyword arguments of a native call.
struct PostOptions {
    bool descendants = false;
    nb::handle backpressure = nb::none();
    nb::handle topic;

    PostOptions(PyObject* const* values, PyObject* names) {
        const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
        for (Py_ssize_t i = 0; i < count; ++i) {
            PyObject* name = PyTuple_GET_ITEM(names, i);
            if (PyUnicode_CompareWithASCIIString(name, "descendants") == 0) {
                if (!PyBool_Check(values[i])) throw nb::type_error("descendants must be a bool");
                descendants = values[i] == Py_True;
            } else if (PyUnicode_CompareWithASCIIString(name, "backpressure") == 0) {
                backpressure = values[i];
            } else if (PyUnicode_CompareWithASCIIString(name, "topic") == 0) {
                topic = values[i];
            } else {
                throw nb::type_error(nb::str("post() has no argument {}").format(nb::repr(name)).c_str());
            }
        }
    }
};

nb::object post_message(const Bus& self, PyObject* const* arguments, Py_ssize_t count, PyObject* names) {
    PostOptions options(arguments + count, names);
    if (count != 0 && options.topic.is_valid()) throw nb::type_error("post() got two topics");
    if (count == 0 && !options.topic.is_valid()) throw nb::type_error("post() needs a topic");
    Py_ssize_t first = 0;
    if (!options.topic.is_valid()) options.topic = arguments[first++];
    const auto session = self.writing_session();
    Outbox messages;
    messages.reserve(static_cast<std::size_t>(count) + 1);
    messages.add_topic(session->memory->generation(), options.descendants, options.topic);
    for (Py_ssize_t i = first; i < count; ++i) messages.add_part(arguments[i]);
    messages.end_message(session->writer.max_body());
    const auto result = options.backpressure.is_none()
                            ? self.write(*session, messages, self.default_policy())
                            : self.write(*session, messages, to_policy(options.backpressure));
    return result.count == 0 ? nb::none() : nb::steal(PyLong_FromUnsignedLongLong(result.last));
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
    MessageTooLarge: topic and payload do not fit the ring. InvalidArgument: the topic holds a NUL.
    NoRoom: slow readers, and the policy is Fail.
    WriterStalled: the policy is Wait, and a process that does not go on held the writer mutex all the time.
    Closed: after close(). TypeError, BufferError: not a contiguous buffer.)";

PyMethodDef native_methods[] = {
    {"post", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&post)), METH_FASTCALL | METH_KEYWORDS, post_doc},
    {nullptr, nullptr, 0, nullptr}};

// One message of post_many: a tuple of a topic and its buffers.
void add_tuple(Outbox& messages, topic::Generation generation, bool descendants, nb::handle item) {
    // A list may change under us: then its copy does not.
    const nb::object fields = PyList_Check(item.ptr()) ? nb::object(nb::tuple(item)) : nb::borrow(item);
    if (!PyTuple_Check(fields.ptr()) || PyTuple_GET_SIZE(fields.ptr()) == 0) {
        throw nb::type_error(
            "post_many takes tuples of a topic and its buffers: [(\"/a\", b\"1\"), (\"/b\", b\"2\")], or with "
            "topic=\"/a\" payloads: [b\"1\", b\"2\"]");
    }
    messages.add_topic(generation, descendants, PyTuple_GET_ITEM(fields.ptr(), 0));
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(fields.ptr()); ++i) {
        messages.add_part(PyTuple_GET_ITEM(fields.ptr(), i));
    }
}

std::size_t post_many(const Bus& self, nb::iterable iterable, nb::handle topic, bool descendants,
                      nb::handle backpressure) {
    const auto session = self.writing_session();
    const Policy chosen = self.policy(backpressure);
    Outbox messages;
    messages.reserve_for(iterable, 2);
    const auto generation = session->memory->generation();
    const auto longest = session->writer.max_body();
    for (nb::handle item : iterable) {
        if (topic.is_none()) {
            add_tuple(messages, generation, descendants, item);
        } else {
            messages.add_topic(generation, descendants, topic);
            messages.add_part(item);
        }
        messages.end_message(longest);
    }
    return self.write(*session, messages, chosen).count;
}

// A message of now, complete with its generation, to be written as a raw one later.
nb::bytes encode(const Bus& self, nb::handle topic, nb::args buffers, bool descendants) {
    const auto session = self.writing_session();
    Outbox messages;
    messages.add_topic(session->memory->generation(), descendants, topic);
    for (nb::handle buffer : buffers) messages.add_part(buffer);
    messages.end_message(session->writer.max_body());
    return messages.joined();
}

// Raises TypeError where `backpressure` is none of the policies.
void check_policy(const Bus& self, nb::handle backpressure) { static_cast<void>(self.policy(backpressure)); }

// How many were written, and what was raised then, or None.
nb::tuple post_encoded(const Bus& self, const nb::list& bodies, nb::handle backpressure) {
    const auto session = self.writing_session();
    Outbox messages;
    messages.reserve_for(bodies, 1);
    for (nb::handle body : bodies) {
        messages.add_part(body);
        messages.end_message(session->writer.max_body());
    }
    blocking::WriteResult result;
    try {
        self.write(*session, messages, self.policy(backpressure), result);
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
    descendants, backpressure: as for `post`, for all of them.

Returns:
    How many were posted: all, unless policy Drop, or a callable's "drop", dropped the rest.

Raises:
    As `post`; NoRoom says how many were written. Bad messages are found before any is written.)")
        .def("_check_policy", &check_policy, nb::arg("backpressure").none())
        .def("_encode", &encode, nb::arg("topic"), nb::arg("buffers"), nb::kw_only(), nb::arg("descendants") = false)
        .def("_post_encoded", &post_encoded, nb::arg("bodies"), nb::kw_only(), nb::arg("backpressure").none());
}

}  // namespace toroni::bindings
