#include "reader.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

namespace toroni::bindings {

namespace {

// One run takes no more than this, so that a reader that is nearly overtaken gets something done.
constexpr std::uint64_t most_bytes_a_run = 4u << 20;
constexpr std::uint64_t copy_without_gil = 64 * 1024;

ring::Start to_start(nb::handle start) {
    if (nb::isinstance<nb::str>(start)) {
        const auto text = nb::cast<std::string>(start);
        if (text == "now") return {ring::StartKind::now};
        if (text == "oldest") return {ring::StartKind::oldest};
    } else if (PyLong_Check(start.ptr()) && !PyBool_Check(start.ptr())) {
        std::uint64_t position = 0;
        if (nb::try_cast(start, position)) return {ring::StartKind::position, position};
    }
    raise("InvalidArgument",
          "start must be 'now', 'oldest' or a position; got " + nb::cast<std::string>(nb::repr(start)));
}

nb::object check_on_loss(nb::handle on_loss) {
    if (nb::isinstance<nb::str>(on_loss)) {
        const auto text = nb::cast<std::string>(on_loss);
        if (text == "raise" || text == "skip") return nb::borrow(on_loss);
    } else if (PyCallable_Check(on_loss.ptr())) {
        return nb::borrow(on_loss);
    }
    raise("InvalidArgument",
          "on_loss must be 'raise', 'skip' or a callable; got " + nb::cast<std::string>(nb::repr(on_loss)));
}

std::byte* bytes_of(nb::handle object) { return reinterpret_cast<std::byte*>(PyBytes_AS_STRING(object.ptr())); }

nb::object new_bytes(std::uint64_t length) {
    PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(length));
    if (bytes == nullptr) throw nb::python_error();
    return nb::steal(bytes);
}

}  // namespace

Reader::Reader(const Stream& stream, nb::handle start, const std::string& label, nb::handle on_loss)
    : label_(label), on_loss_(check_on_loss(on_loss)), session_(stream.session()) {
    if (!session_->memory->may_read()) {
        raise("InvalidArgument", "the stream '" + stream.name() + "' was opened with role='writer'");
    }
    if (label.size() >= base::label_size || label.find('\0') != std::string::npos) {
        raise("InvalidArgument",
              "a label has at most " + std::to_string(base::label_size - 1) + " bytes of UTF-8 and no NUL");
    }
    const ring::Start from = to_start(start);
    const ReleasedGil released;  // a walk over a large ring takes a while
    reader_ = std::make_unique<ring::Reader>(session_->memory, from, label);
}

ring::Reader& Reader::open_reader() {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    if (reader_->is_inherited()) reader_->take_own_slot();
    return *reader_;
}

Reader::Use::~Use() {
    if (reader_.closing_.load()) {
        reader_.reader_.reset();
        reader_.session_.reset();
    }
    reader_.lock_.release();
}

void Reader::copy_all(std::vector<nb::object>& bodies) const {
    std::uint64_t total = 0;
    for (const ring::Frame& frame : reader_->frames()) {
        bodies.push_back(new_bytes(frame.length));
        total += frame.length;
    }
    std::optional<ReleasedGil> released;
    if (total > copy_without_gil) released.emplace();
    std::size_t i = 0;
    for (const ring::Frame& frame : reader_->frames()) reader_->copy(frame, bytes_of(bodies[i++]));
}

template <class Take>
bool Reader::fetch(std::size_t most, const blocking::Deadline& deadline, Take&& take) {
    if (!lock_.acquire(deadline)) return false;
    Use use(*this);
    open_reader();
    if (untold_loss_) tell_loss();
    for (int losses = 0; losses == 0 || !deadline.has_passed();) {
        ring::Reader& reader = open_reader();  // again after each callback, which may have closed it or forked
        const auto status = reader.begin(most, most_bytes_a_run);
        if (status == ring::ReadStatus::empty) {
            PythonWaiter waiter(&closing_);
            if (!blocking::wait_for_news(reader, deadline, waiter)) return false;
        } else if (status == ring::ReadStatus::messages) {
            std::vector<nb::object> bodies;
            bodies.reserve(reader.frames().size());
            copy_all(bodies);
            const std::vector<ring::Frame> frames(reader.frames().begin(), reader.frames().end());
            if (!reader.commit()) {
                report_loss(ring::ReadStatus::lost);
                ++losses;
                continue;
            }
            last_position_ = frames.back().position;
            for (std::size_t i = 0; i < frames.size(); ++i) take(frames[i], std::move(bodies[i]));
            return true;
        } else {
            report_loss(status);
            ++losses;
        }
    }
    return false;  // overtaken again and again, until the time was over
}

void Reader::report_loss(ring::ReadStatus cause) {
    check_signals();  // here nothing has moved yet: if a handler raises, the loss is found again
    untold_loss_ = reader_->resume(cause);
    lost_bytes_ += untold_loss_->bytes;
    if (lost_messages_ && untold_loss_->messages) *lost_messages_ += *untold_loss_->messages;
    else lost_messages_.reset();
    tell_loss();
}

void Reader::tell_loss() {
    const bool by_text = nb::isinstance<nb::str>(on_loss_);
    const bool skip = by_text && nb::cast<std::string>(on_loss_) == "skip";
    // A signal handler may raise in the middle of this line: then the next read tells the loss.
    const nb::object exception = skip ? nb::none() : make_loss(*untold_loss_, label_);
    untold_loss_.reset();
    if (skip) return;
    if (by_text) raise(exception);
    on_loss_(exception);
}

nb::object Reader::read(std::optional<double> timeout) {
    nb::object message = nb::none();
    fetch(1, blocking::Deadline(to_timeout(timeout)),
          [&](const ring::Frame&, nb::object&& body) { message = std::move(body); });
    return message;
}

nb::object Reader::next() {
    if (is_closed()) throw nb::stop_iteration();
    try {
        return read(std::nullopt);
    } catch (const nb::python_error& error) {
        if (!is_closed() || !error.matches(error_class("Closed"))) throw;
        throw nb::stop_iteration();
    }
}

nb::list Reader::read_many(std::size_t most, std::optional<double> timeout, bool with_positions) {
    if (most == 0) raise("InvalidArgument", "max must be at least 1");
    nb::list messages;
    fetch(most, blocking::Deadline(to_timeout(timeout)), [&](const ring::Frame& frame, nb::object&& body) {
        if (with_positions) messages.append(nb::make_tuple(frame.position, body));
        else messages.append(body);
    });
    return messages;
}

bool Reader::wait(std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    if (!lock_.acquire(deadline)) return false;
    Use use(*this);
    while (open_reader().begin(1, 1) == ring::ReadStatus::empty) {  // padding is no news
        PythonWaiter waiter(&closing_);
        if (!blocking::wait_for_news(*reader_, deadline, waiter)) return false;
    }
    return true;
}

void Reader::close() {
    if (!reader_) return;
    closing_.store(true);
    if (lock_.is_mine()) return;  // from a signal handler or on_loss inside a method, whose end finishes it
    // Whoever waits inside is woken until it is out: it may be just about to sleep.
    while (!lock_.acquire(blocking::Deadline(os::Nanoseconds{1'000'000}))) {
        if (!reader_ || interpreter_is_finalizing()) return;  // closed by it, or held by a thread that is no more
        if (const auto* word = reader_->wake_word()) os::futex_wake(*word);
    }
    Use use(*this);
}

base::Position Reader::position() const {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    return reader_->position();
}

std::uint64_t Reader::lag() const {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    return reader_->lag();
}

int Reader::traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<Reader>(self)->on_loss_.ptr());
    return 0;
}

int Reader::clear(PyObject* self) {
    if (nb::inst_ready(self)) nb::inst_ptr<Reader>(self)->on_loss_ = nb::str("skip");
    return 0;
}

void bind_reader(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&Reader::traverse)},
                                  {Py_tp_clear, reinterpret_cast<void*>(&Reader::clear)},
                                  {0, nullptr}};
    nb::class_<Reader>(module, "Reader", nb::type_slots(slots),
                       "A position in a raw stream; use toroni.rmp.Stream.reader().")
        .def(nb::init<const Stream&, nb::handle, const std::string&, nb::handle>(), nb::arg("stream"),
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
        .def(
            "wait", &Reader::wait, nb::arg("timeout") = nb::none(),
            "Waits until there is something to read, at most `timeout` seconds (None for ever). False if there is not.")
        .def(
            "__iter__", [](nb::handle self) { return nb::borrow(self); }, nb::sig("def __iter__(self) -> Self"))
        .def("__next__", &Reader::next, nb::sig("def __next__(self) -> bytes"))
        .def("_close", &Reader::close)
        .def_prop_ro("closed", &Reader::is_closed, "Whether close() was called.")
        .def_prop_ro(
            "label", [](const Reader& self) { return self.label(); },
            "What this reader calls itself, for those who see it in statistics and errors.")
        .def_prop_ro("position", &Reader::position, "Stream position where the next message is looked for.")
        .def_prop_ro("last_position", &Reader::last_position, "Position of the last message returned; None before.")
        .def_prop_ro("lag", &Reader::lag, "Bytes of the stream that are still to be read.")
        .def_prop_ro("lost", &Reader::lost, "Bytes of the stream that this reader missed.")
        .def_prop_ro("lost_messages", &Reader::lost_messages,
                     "Messages that this reader missed; None once they could not be counted.");
}

}  // namespace toroni::bindings
