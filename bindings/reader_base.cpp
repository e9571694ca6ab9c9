#include "reader_base.hpp"

#include <fcntl.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "toroni/os/failure.hpp"

namespace toroni::bindings {

namespace {

constexpr int most_late_skips = 64;  // of an eighth of the ring each: all that was there when time was over
// A writer of what nobody here wants may be so quick that the stream never ends, nor does it under one that scribbles.
constexpr int most_late_ends = 64;

}  // namespace

ReaderBase::ReaderBase(const StreamBase& stream, nb::handle start, const std::string& label, nb::handle on_loss)
    : label_(label), on_loss_(check_on_loss(on_loss)), session_(stream.session()) {
    if (!session_->memory->may_read()) stream.raise_role();
    if (label.size() >= base::label_size || label.find('\0') != std::string::npos) {
        raise("InvalidArgument",
              "a label has at most " + std::to_string(base::label_size - 1) + " bytes of UTF-8 and no NUL");
    }
    const ring::Start from = to_start(start);
    const ReleasedGil released;  // a walk over a large ring takes a while
    listener_ = session_->listen();
    reader_ = std::make_unique<ring::Reader>(session_->memory, from, label);
}

ReaderBase::~ReaderBase() { let_go(); }

ring::Reader& ReaderBase::open_reader() {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    if (reader_->is_inherited()) {
        auto listener = session_->listen();  // the parent's descriptors are the parent's
        reader_->take_own_slot();
        listener_ = std::move(listener);
    }
    return *reader_;
}

void ReaderBase::let_go() {
    if (listener_ && reader_) listener_->disarm(*reader_);
    listener_.reset();
    reader_.reset();
    session_.reset();
}

bool ReaderBase::next_run(std::size_t most, std::uint64_t most_bytes, const blocking::Deadline& deadline) {
    check_readable();
    if (untold_loss_) tell_loss();
    int losses = 0, late_skips = 0, ends = 0;
    bool skipping = false;
    while (losses == 0 || !deadline.has_passed()) {
        // Opened again after each callback, which may have closed it or forked.
        switch (const auto status = begin(most, most_bytes, !skipping)) {
            case ring::ReadStatus::messages: return true;
            case ring::ReadStatus::skipped:
                check_signals();
                skipping = true;
                if (deadline.has_passed() && ++late_skips > most_late_skips) return false;
                break;
            case ring::ReadStatus::empty:
                if (is_empty_for_good(deadline)) return false;
                if (++ends > most_late_ends && deadline.has_passed()) return false;
                break;
            default: report_loss(status); ++losses;
        }
    }
    return false;  // overtaken again and again, until the time was over
}

// A long way of unwanted messages is walked without the GIL.
ring::ReadStatus ReaderBase::begin(std::size_t most, std::uint64_t most_bytes, bool keep_gil) {
    ring::Reader& reader = open_reader();
    ring::Filter* wanted = filter();
    std::optional<ReleasedGil> released;
    if (!keep_gil) released.emplace();
    return reader.begin(most, most_bytes, wanted);
}

// Waits. Who has lent its descriptor to an event loop is armed when it hears that there is nothing.
bool ReaderBase::is_empty_for_good(const blocking::Deadline& deadline) {
    ReadWaiter waiter(lock_, closing_);
    if (blocking::wait_for_news(*reader_, *listener_, deadline, waiter)) {
        waiter.finish();
        check_signals();  // one may have come outside of the sleep
        return false;
    }
    waiter.finish();
    ring::Reader& reader = open_reader();  // forked meanwhile?
    return listener_->arm(reader);
}

void ReaderBase::report_loss(ring::ReadStatus cause) {
    check_signals();  // here nothing has moved yet: if a handler raises, the loss is found again
    resume(cause);
    tell_loss();
}

nb::object ReaderBase::take_loss(ring::ReadStatus cause) {
    resume(cause);
    nb::object exception = make_loss(*untold_loss_, label_);
    untold_loss_.reset();
    return exception;
}

void ReaderBase::resume(ring::ReadStatus cause) {
    if (cause == ring::ReadStatus::lost && reader_->has_restarted()) cause = ring::ReadStatus::restarted;
    untold_loss_ = reader_->resume(cause);
    lost_bytes_ += untold_loss_->bytes;
    if (lost_messages_ && untold_loss_->messages) *lost_messages_ += *untold_loss_->messages;
    else lost_messages_.reset();
    if (cause == ring::ReadStatus::restarted) stream_restarted();
}

void ReaderBase::tell_loss() {
    const bool by_text = nb::isinstance<nb::str>(on_loss_);
    const bool skip = by_text && nb::cast<std::string>(on_loss_) == "skip";
    // A signal handler may raise in the middle of this line: then the next read tells the loss.
    const nb::object exception = skip ? nb::none() : make_loss(*untold_loss_, label_);
    untold_loss_.reset();
    if (skip) return;
    if (by_text) raise(exception);
    call(on_loss_, nb::make_tuple(exception));
}

bool ReaderBase::wait(std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    const Use use(*this, deadline);
    if (!use) return false;
    check_readable();
    int late_skips = 0, ends = 0;
    while (!has_pending()) {
        const auto status = begin(1, 1, true);
        if (status == ring::ReadStatus::skipped) {
            check_signals();
            if (deadline.has_passed() && ++late_skips > most_late_skips) return false;
        } else if (status != ring::ReadStatus::empty) {
            return true;
        } else if (is_empty_for_good(deadline) || (++ends > most_late_ends && deadline.has_passed())) {
            return false;
        }
    }
    return true;
}

// Without the lock, but for a child that has to take a slot of its own first: another thread may wait inside.
int ReaderBase::fileno() {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    if (reader_->is_inherited()) const Use use(*this);
    return listener_->descriptor();
}

// In one call: between fileno() and a dup of it another thread could close the reader.
int ReaderBase::duplicate_descriptor() {
    const int duplicate = fcntl(fileno(), F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0) os::fail("duplicate a descriptor");
    return duplicate;
}

void ReaderBase::rest() {
    if (closing_.load() || !reader_ || reader_->is_inherited() || lock_.is_taken()) return;
    listener_->disarm(*reader_);
    listener_->settle();
}

void ReaderBase::close() {
    if (!reader_) return;
    closing_.store(true);
    if (lock_.is_mine()) return;  // from a signal handler or on_loss inside a method, whose end finishes it
    // Whoever waits inside is woken until it is out: it may be just about to sleep.
    while (!lock_.acquire(blocking::Deadline(os::Nanoseconds{1'000'000}))) {
        if (!reader_ || interpreter_is_finalizing()) return;  // closed by it, or held by a thread that is no more
        listener_->interrupt(*reader_);
    }
    let_go();
    lock_.release();
}

base::Position ReaderBase::position() const {
    if (closing_.load() || !reader_) raise("Closed", "the reader is closed");
    return reader_->position();
}

std::uint64_t ReaderBase::lag() const {
    const base::Position from = position();  // raises if closed
    const auto lag = base::distance(from, session_->memory->ring().free_pos.load(std::memory_order_acquire));
    return lag > 0 ? static_cast<std::uint64_t>(lag) : 0;
}

int ReaderBase::traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<ReaderBase>(self)->on_loss_.ptr());
    return 0;
}

int ReaderBase::clear(PyObject* self) {
    if (nb::inst_ready(self)) nb::inst_ptr<ReaderBase>(self)->on_loss_ = nb::str("skip");
    return 0;
}

void bind_reader_base(nb::module_& module) {
    static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(&ReaderBase::traverse)},
                                  {Py_tp_clear, reinterpret_cast<void*>(&ReaderBase::clear)},
                                  {0, nullptr}};
    nb::class_<ReaderBase>(module, "ReaderBase", nb::type_slots(slots), "A position in a stream.")
        .def(
            "wait", &ReaderBase::wait, nb::arg("timeout") = nb::none(),
            "Waits until there is something to read, at most `timeout` seconds (None for ever). False if there is not.")
        .def("fileno", &ReaderBase::fileno,
             R"(A descriptor that becomes readable when there is something to read, for any event loop.

It stays readable until a read has found nothing (None, or an empty list). Do not read from it, and do not close it.
On a bus whose notifier is the futex, one thread of this process watches for all readers that wait so, while one does.

Raises:
    Closed: after close().)")
        .def("_duplicate_descriptor", &ReaderBase::duplicate_descriptor)
        .def("_rest", &ReaderBase::rest)
        .def("_close", &ReaderBase::close)
        .def_prop_ro("closed", &ReaderBase::is_closed, "Whether close() was called.")
        .def_prop_ro(
            "label", [](const ReaderBase& self) { return self.label(); },
            "What this reader calls itself, for those who see it in statistics and errors.")
        .def_prop_ro("position", &ReaderBase::position, "Stream position where the next message is looked for.")
        .def_prop_ro("last_position", &ReaderBase::last_position, "Position of the last message returned; None before.")
        .def_prop_ro("lag", &ReaderBase::lag, "Bytes of the stream that are still to be read.")
        .def_prop_ro("lost", &ReaderBase::lost, "Bytes of the stream that this reader missed.")
        .def_prop_ro("lost_messages", &ReaderBase::lost_messages,
                     "Messages that this reader missed; None once they could not be counted.");
}

}  // namespace toroni::bindings
