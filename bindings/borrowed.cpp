#include "borrowed.hpp"

#include <utility>

#include "topic_reader.hpp"

namespace toroni::bindings {

namespace {

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
    auto& shown = *nb::inst_ptr<ShownBytes>(self);
    const int failed =
        PyBuffer_FillInfo(view, self, const_cast<void*>(shown.data), static_cast<Py_ssize_t>(shown.size), 1, flags);
    if (failed == 0) ++shown.exports;
    return failed;
}

void release_buffer(PyObject* self, Py_buffer*) { --nb::inst_ptr<ShownBytes>(self)->exports; }

}  // namespace

Borrowed::Borrowed(nb::object reader, nb::object topic, base::Position position, ShownBytes shown, bool in_ring)
    : reader_(std::move(reader)),
      topic_(std::move(topic)),
      position_(position),
      shown_(nb::cast(std::move(shown))),
      in_ring_(in_ring) {
    view_ = nb::steal(PyMemoryView_FromObject(shown_.ptr()));
    if (!view_.is_valid()) throw nb::python_error();
}

Borrowed::~Borrowed() {
    if (is_released_) return;
    try {
        give_back();
    } catch (...) {  // a destructor tells nobody; if it was overwritten, the next read does
        PyErr_Clear();
    }
}

bool Borrowed::give_back() {
    if (!in_ring_) return true;
    return nb::inst_ptr<TopicReader>(reader_)->give_back(*nb::inst_ptr<ShownBytes>(shown_)->session, position_);
}

void Borrowed::release() {
    if (std::exchange(is_released_, true)) return;
    const bool is_whole = give_back();
    // A view of the memoryview (a NumPy array) makes this fail; one beside it (a slice) keeps it exported.
    const nb::object released = nb::steal(PyObject_CallMethod(view_.ptr(), "release", nullptr));
    if (!released.is_valid()) PyErr_Clear();
    if (!is_whole) nb::inst_ptr<TopicReader>(reader_)->raise_overwritten();
    if (!released.is_valid() || nb::inst_ptr<ShownBytes>(shown_)->exports != 0) {
        raise("ViewInUse", "a view of the borrowed message at position " + std::to_string(position_) +
                               " is still there (an array or a slice), and may change from now on; copy what you keep, "
                               "and delete views before the message is released");
    }
}

void bind_borrowed(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(&get_buffer)},
                                  {Py_bf_releasebuffer, reinterpret_cast<void*>(&release_buffer)},
                                  {0, nullptr}};
    nb::class_<ShownBytes>(module, "_ShownBytes", nb::type_slots(slots));
    nb::class_<Borrowed>(module, "BorrowedMessage",
                         R"(A message shown in place, without a copy; made by `Reader.borrow`.

A context manager: at its end the message is released. Until then writers that wait for room wait for it; others may
overwrite it, and then the release says so: what was made of it must be thrown away.)")
        .def("release", &Borrowed::release,
             R"(Gives the message back. Its `data` cannot be used any more. Idempotent.

Raises:
    MessagesLost: it was overwritten meanwhile, whatever the reader's on_loss; the reader goes on behind the gap.
    ViewInUse: a slice of `data`, or an array made of it, still exists. The memory stays mapped as long, but its
        contents may change.)")
        .def_prop_ro("topic", &Borrowed::topic, "The topic that it was posted to.", nb::sig("def topic(self) -> str"))
        .def_prop_ro("position", &Borrowed::position, "Its position in the stream.")
        .def_prop_ro("data", &Borrowed::data, "The payload: a read-only memoryview of its bytes.",
                     nb::sig("def data(self) -> memoryview"))
        .def(
            "__enter__", [](nb::handle self) { return nb::borrow(self); }, nb::sig("def __enter__(self) -> Self"))
        .def(
            "__exit__", [](Borrowed& self, nb::args) { self.release(); },
            nb::sig("def __exit__(self, *exception: object) -> None"));
}

}  // namespace toroni::bindings
