#include "message.hpp"

#include <structmember.h>

#include <array>
#include <cstddef>

namespace toroni::bindings {

namespace {

struct MessageObject {
    PyObject_HEAD PyObject* topic;
    PyObject* data;
    unsigned long long position;
};

PyTypeObject* type = nullptr;  // kept as long as the process lives

// Messages that are no more, to be used again: a batch needs as many as the one before it. Guarded by the GIL.
#ifdef Py_GIL_DISABLED
constexpr std::size_t most_spare = 0;
#else
constexpr std::size_t most_spare = 2048;
#endif
std::array<MessageObject*, most_spare + 1> spare;
std::size_t spare_count = 0;

MessageObject* self_of(nb::handle message) noexcept { return reinterpret_cast<MessageObject*>(message.ptr()); }

PyObject* new_message(PyTypeObject* subtype, PyObject* args, PyObject* keywords) {
    static const char* names[] = {"topic", "data", "position", nullptr};
    PyObject *topic = nullptr, *data = nullptr, *number = nullptr;
    if (PyArg_ParseTupleAndKeywords(args, keywords, "USO!:Message", const_cast<char**>(names), &topic, &data,
                                    &PyLong_Type, &number) == 0) {
        return nullptr;
    }
    const unsigned long long position = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred() != nullptr) return nullptr;
    PyObject* made = subtype->tp_alloc(subtype, 0);
    if (made == nullptr) return nullptr;
    *self_of(made) = {self_of(made)->ob_base, Py_NewRef(topic), Py_NewRef(data), position};
    return made;
}

void deallocate(PyObject* self) {
    Py_XDECREF(self_of(self)->topic);
    Py_XDECREF(self_of(self)->data);
    if (spare_count < most_spare && Py_TYPE(self) == type) {  // and keeps its reference to the type
        spare[spare_count++] = self_of(self);
        return;
    }
    PyTypeObject* own = Py_TYPE(self);
    own->tp_free(self);
    Py_DECREF(own);
}

PyObject* repr(PyObject* self) {
    const MessageObject& message = *self_of(self);
    return PyUnicode_FromFormat("Message(topic=%R, data=%R, position=%llu)", message.topic, message.data,
                                message.position);
}

PyObject* compare(PyObject* self, PyObject* other, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != Py_TYPE(self)) Py_RETURN_NOTIMPLEMENTED;
    const MessageObject &a = *self_of(self), &b = *self_of(other);
    int equal = a.position == b.position ? PyObject_RichCompareBool(a.topic, b.topic, Py_EQ) : 0;
    if (equal == 1) equal = PyObject_RichCompareBool(a.data, b.data, Py_EQ);
    if (equal < 0) return nullptr;
    return PyBool_FromLong(equal == (operation == Py_EQ ? 1 : 0));
}

PyObject* fields(PyObject* self) {
    const MessageObject& message = *self_of(self);
    return Py_BuildValue("(OOK)", message.topic, message.data, message.position);
}

Py_hash_t hash(PyObject* self) {
    const nb::object all = nb::steal(fields(self));
    return all.is_valid() ? PyObject_Hash(all.ptr()) : -1;
}

PyObject* reduce(PyObject* self, PyObject*) {
    PyObject* all = fields(self);
    return all == nullptr ? nullptr : Py_BuildValue("(ON)", Py_TYPE(self), all);
}

PyMemberDef members[] = {
    {"topic", T_OBJECT_EX, offsetof(MessageObject, topic), READONLY, "The topic that it was posted to, a str."},
    {"data", T_OBJECT_EX, offsetof(MessageObject, data), READONLY, "The payload, bytes."},
    {"position", T_ULONGLONG, offsetof(MessageObject, position), READONLY,
     "Its position in the stream: the order of all messages, the same in every process."},
    {nullptr, 0, 0, 0, nullptr}};

PyMethodDef methods[] = {{"__reduce__", &reduce, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};

}  // namespace

nb::object make_message(nb::handle topic, nb::object&& data, std::uint64_t position) {
    MessageObject* made = nullptr;
    if (spare_count != 0) {
        made = spare[--spare_count];
        _Py_NewReference(&made->ob_base);
    } else if ((made = PyObject_New(MessageObject, type)) == nullptr) {
        throw nb::python_error();
    }
    made->topic = topic.inc_ref().ptr();
    made->data = data.release().ptr();
    made->position = position;
    return nb::steal(reinterpret_cast<PyObject*>(made));
}

nb::handle topic_of(nb::handle message) noexcept { return self_of(message)->topic; }
nb::handle data_of(nb::handle message) noexcept { return self_of(message)->data; }
std::uint64_t position_of(nb::handle message) noexcept { return self_of(message)->position; }

void bind_message(nb::module_& module) {
    static PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("A message as a reader gets it: topic, data and position. Immutable.")},
        {Py_tp_new, reinterpret_cast<void*>(&new_message)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
        {Py_tp_repr, reinterpret_cast<void*>(&repr)},
        {Py_tp_richcompare, reinterpret_cast<void*>(&compare)},
        {Py_tp_hash, reinterpret_cast<void*>(&hash)},
        {Py_tp_members, members},
        {Py_tp_methods, methods},
        {0, nullptr}};
    static PyType_Spec spec = {"toroni.Message", sizeof(MessageObject), 0, Py_TPFLAGS_DEFAULT, slots};
    type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (type == nullptr) throw nb::python_error();
    const nb::handle made(reinterpret_cast<PyObject*>(type));
    const nb::tuple match_args = nb::make_tuple("topic", "data", "position");
    nb::setattr(made, "__match_args__", match_args);
    module.attr("Message") = made;
}

}  // namespace toroni::bindings
