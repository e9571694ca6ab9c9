#include "topic_layer.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "outbox.hpp"
#include "toroni/topic/name.hpp"
#include "toroni/topic/subscriptions.hpp"

namespace toroni::bindings {

namespace {

nb::bytes encode(nb::handle topic, nb::args buffers, topic::Generation generation, bool descendants) {
    Outbox messages(base::max_capacity, generation, descendants);
    messages.add_topic(topic);
    for (nb::handle buffer : buffers) messages.add_part(buffer);
    messages.end_message();
    return messages.joined();
}

// generation, descendants, topic, bytes before the payload
nb::tuple decode(nb::handle body) {
    Py_buffer view;
    if (PyObject_GetBuffer(body.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
    topic::Decoder decoder;
    const auto header = decoder.decode(static_cast<const std::byte*>(view.buf), static_cast<std::uint64_t>(view.len));
    PyBuffer_Release(&view);
    if (!header) raise("InvalidArgument", "these bytes are not a message with a topic");
    return nb::make_tuple(header->generation, header->descendants, to_topic(header->topic), header->size);
}

}  // namespace

void bind_topic_layer(nb::module_& module) {
    using topic::Subscriptions;
    module.def("_encode", &encode, nb::arg("topic"), nb::arg("buffers"), nb::kw_only(), nb::arg("generation"),
               nb::arg("descendants"));
    module.def("_decode", &decode, nb::arg("body"));
    module.def("_check_topic", [](nb::handle topic) { static_cast<void>(TopicName(topic)); });
    module.def("_is_below", [](nb::handle topic, nb::handle ancestor) {
        return topic::is_below(TopicName(topic).text(), TopicName(ancestor).text());
    });
    nb::class_<Subscriptions>(module, "Subscriptions",
                              R"(Topics subscribed to, and which of them a message meets.

Looking up costs a few hash lookups, one for each level of the topic, however many subscriptions there are.)")
        .def(nb::init<>())
        .def(
            "add",
            [](Subscriptions& self, nb::handle topic, bool descendants, topic::Generation generation) {
                return self.add(std::string(TopicName(topic).text()), descendants, generation);
            },
            nb::arg("topic"), nb::kw_only(), nb::arg("descendants") = false, nb::arg("generation") = 0,
            nb::sig("def add(self, topic: str, *, descendants: bool = False, generation: int = 0) -> int"),
            "Adds a subscription that gets messages of `generation` and later ones. Returns its id.")
        .def("remove", &Subscriptions::remove, nb::arg("id"), "Ends a subscription. False if there is no such one.")
        .def(
            "matching",
            [](const Subscriptions& self, nb::handle topic, bool descendants, topic::Generation generation) {
                const TopicName name(topic);
                return self.matching({generation, descendants, name.text()});
            },
            nb::arg("topic"), nb::kw_only(), nb::arg("descendants") = false, nb::arg("generation"),
            nb::sig("def matching(self, topic: str, *, descendants: bool = False, generation: int) -> list[int]"),
            "The ids of the subscriptions that a message meets, oldest first.")
        .def("__len__", &Subscriptions::size);
}

}  // namespace toroni::bindings
