#include "custom_notifier.hpp"

#include "gil.hpp"

namespace toroni::bindings {

CustomNotifier::~CustomNotifier() {
    if (interpreter_is_finalizing()) {
        static_cast<void>(object_.release());
        return;
    }
    const nb::gil_scoped_acquire gil;
    object_.reset();
}

void CustomNotifier::notify(ring::Writer& writer) {
    wake();
    writer.count_notification();
}

void CustomNotifier::wake() {
    const nb::gil_scoped_acquire gil;
    object_.attr("notify")();
}

os::FutexResult CustomNotifier::wait(os::Nanoseconds timeout) {
    const nb::gil_scoped_acquire gil;
    object_.attr("wait")(static_cast<double>(timeout.count()) / 1e9);
    return os::FutexResult::interrupted;  // for all we know: signals are looked at
}

int CustomNotifier::fileno() {
    const nb::gil_scoped_acquire gil;
    return nb::cast<int>(object_.attr("fileno")());
}

os::FutexResult CustomListener::sleep(ring::Reader& reader, os::Nanoseconds timeout) {
    const blocking::WaitingBit bit(reader);
    if (reader.has_news()) return os::FutexResult::woken;
    return notifier_->wait(timeout);
}

int CustomListener::descriptor(ring::Reader&) {
    const int descriptor = notifier_->fileno();
    if (!lends_) notifier_->wake();  // readable at first, as with a futex
    lends_ = true;
    return descriptor;
}

void CustomListener::start(ring::Reader& reader) {
    reader.set_waiting();
    notifier_->wait(os::Nanoseconds{0});  // takes what was announced so far
}

}  // namespace toroni::bindings
