#include "custom_notifier.hpp"

#include <poll.h>

#include "errors.hpp"
#include "gil.hpp"

namespace toroni::bindings {

CustomNotifier::~CustomNotifier() {
    if (interpreter_is_finalizing()) {
        static_cast<void>(object_.release());
        return;
    }
    const EnsuredGil gil;
    object_.reset();
}

nb::object CustomNotifier::call_method(const char* name, const nb::tuple& arguments) {
    const nb::object kept = object_;  // whoever closes what meanwhile
    return call(nb::getattr(kept, name), arguments);
}

void CustomNotifier::notify(ring::Writer& writer) {
    wake();
    writer.count_notification();
}

void CustomNotifier::wake() {
    const EnsuredGil gil;
    const nb::object kept = object_;
    try {
        call_method("notify", nb::make_tuple());
    } catch (nb::python_error& error) {
        error.restore();
        PyErr_WriteUnraisable(kept.ptr());
    }
}

void CustomNotifier::wait(os::Nanoseconds timeout) {
    const EnsuredGil gil;
    call_method("wait", nb::make_tuple(static_cast<double>(timeout.count()) / 1e9));
    for (CustomListener* listener : listeners_) listener->signal();  // what came may have been for them
}

void CustomNotifier::take_earlier() {
    pollfd entry{fileno(), POLLIN, 0};
    if (poll(&entry, 1, 0) == 1) wait(os::Nanoseconds{0});
}

int CustomNotifier::fileno() {
    const EnsuredGil gil;
    const nb::object answer = call_method("fileno", nb::make_tuple());
    const int descriptor = PyObject_AsFileDescriptor(answer.ptr());
    if (descriptor < 0) throw nb::python_error();
    return descriptor;
}

os::FutexResult CustomListener::sleep(ring::Reader& reader, os::Nanoseconds timeout) {
    const blocking::WaitingBit bit(reader);
    if (reader.has_news()) return os::FutexResult::woken;
    notifier_->wait(timeout);
    return os::FutexResult::interrupted;  // for all we know: signals are looked at
}

int CustomListener::source() {
    const int descriptor = notifier_->fileno();
    notifier_->remove(*this);
    notifier_->add(*this);
    return descriptor;
}

void CustomListener::start(ring::Reader& reader) {
    reader.set_waiting();
    notifier_->remove(*this);  // not woken by itself
    try {
        notifier_->take_earlier();
    } catch (...) {
        notifier_->add(*this);
        throw;
    }
    notifier_->add(*this);
}

}  // namespace toroni::bindings
