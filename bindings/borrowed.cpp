#include "borrowed.hpp"

#include <utility>

#include "topic_reader.hpp"

namespace toroni::bindings {

// ---- the loan ---------------------------------------------------------------------------------------------

Loan::Loan(nb::object copy)
    : copy_(std::move(copy)),
      data_(PyBytes_AS_STRING(copy_.ptr())),
      size_(static_cast<std::size_t>(PyBytes_GET_SIZE(copy_.ptr()))) {}

Loan::~Loan() { give_back_silently(); }

nb::object Loan::give_back(bool tell) {
    if (!reader_.is_valid()) return nb::none();
    const nb::object reader = reader_;  // two threads may give back at once
    nb::object lost = nb::inst_ptr<TopicReader>(reader)->give_back(*session_, position_, tell);
    reader_.reset();
    return lost;
}

void Loan::give_back_silently() noexcept {
    if (!reader_.is_valid()) return;
    const nb::error_scope whatever_is_raised_now;
    try {
        give_back(false);
    } catch (nb::python_error& error) {
        error.discard_as_unraisable("giving back a borrowed message");
    }
}

int Loan::get_buffer(PyObject* self, Py_buffer* view, int flags) {
    if (!nb::inst_ready(self)) {
        PyErr_SetString(PyExc_BufferError, "not initialised");
        return -1;
    }
    Loan& loan = *nb::inst_ptr<Loan>(self);
    const int failed =
        PyBuffer_FillInfo(view, self, const_cast<void*>(loan.data_), static_cast<Py_ssize_t>(loan.size_), 1, flags);
    if (failed == 0) ++loan.exports_;
    return failed;
}

void Loan::release_buffer(PyObject* self, Py_buffer*) { --nb::inst_ptr<Loan>(self)->exports_; }

int Loan::traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<Loan>(self)->reader_.ptr());
    return 0;
}

int Loan::clear(PyObject* self) {
    if (!nb::inst_ready(self)) return 0;
    nb::inst_ptr<Loan>(self)->give_back_silently();
    nb::inst_ptr<Loan>(self)->reader_.reset();
    return 0;
}

// ---- the message ------------------------------------------------------------------------------------------

Borrowed::Borrowed(nb::object loan, nb::object topic, base::Position position)
    : loan_(std::move(loan)),
      view_(nb::steal(PyMemoryView_FromObject(loan_.ptr()))),
      topic_(std::move(topic)),
      position_(position) {
    if (!view_.is_valid()) throw nb::python_error();
}

void Borrowed::release() {
    if (is_released_ || !loan_.is_valid()) return;
    Loan& loan = *nb::inst_ptr<Loan>(loan_);
    const nb::object lost = loan.give_back(true);
    is_released_ = true;
    // A view of the memoryview (a NumPy array) makes this fail; one beside it (a slice) keeps the loan exported.
    const nb::object ended = nb::steal(PyObject_CallMethod(view_.ptr(), "release", nullptr));
    if (!ended.is_valid()) PyErr_Clear();
    if (!lost.is_none()) raise(lost);
    if (!ended.is_valid() || loan.is_shown()) {
        raise("ViewInUse", "a view of the borrowed message at position " + std::to_string(position_) +
                               " is still there (an array or a slice), and may change from now on; copy what you keep, "
                               "and delete views before the message is released");
    }
}

int Borrowed::traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    const Borrowed& borrowed = *nb::inst_ptr<Borrowed>(self);
    Py_VISIT(borrowed.loan_.ptr());
    Py_VISIT(borrowed.view_.ptr());
    return 0;
}

int Borrowed::clear(PyObject* self) {
    if (!nb::inst_ready(self)) return 0;
    Borrowed& borrowed = *nb::inst_ptr<Borrowed>(self);
    borrowed.view_.reset();
    borrowed.loan_.reset();
    return 0;
}

void bind_borrowed(nb::module_& module) {
    static PyType_Slot loan_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(&Loan::get_buffer)},
                                       {Py_bf_releasebuffer, reinterpret_cast<void*>(&Loan::release_buffer)},
                                       {Py_tp_traverse, reinterpret_cast<void*>(&Loan::traverse)},
                                       {Py_tp_clear, reinterpret_cast<void*>(&Loan::clear)},
                                       {0, nullptr}};
    static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&Borrowed::traverse)},
                                  {Py_tp_clear, reinterpret_cast<void*>(&Borrowed::clear)},
                                  {0, nullptr}};
    nb::class_<Loan>(module, "_Loan", nb::type_slots(loan_slots));
    nb::class_<Borrowed>(module, "BorrowedMessage", nb::type_slots(slots),
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
