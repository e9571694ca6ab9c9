// A notifier of the application's own: a Python object with notify(), wait(timeout) and fileno().
#pragma once

#include <nanobind/nanobind.h>

#include <memory>

#include "notifier.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

// Takes the GIL for each call: never called with a lock of ours held.
class CustomNotifier : public blocking::Notifier {
public:
    explicit CustomNotifier(nb::object object) : object_(std::move(object)) {}
    ~CustomNotifier() override;
    void notify(ring::Writer& writer) override;
    void wake();
    os::FutexResult wait(os::Nanoseconds timeout);
    [[nodiscard]] int fileno();

private:
    nb::object object_;
};

class CustomListener : public blocking::Listener {
public:
    explicit CustomListener(std::shared_ptr<CustomNotifier> notifier) : notifier_(std::move(notifier)) {}
    os::FutexResult sleep(ring::Reader& reader, os::Nanoseconds timeout) override;
    void interrupt(ring::Reader&) override { notifier_->wake(); }
    int descriptor(ring::Reader&) override;

protected:
    void start(ring::Reader& reader) override;
    void stop(ring::Reader& reader) override { reader.clear_waiting(); }

private:
    std::shared_ptr<CustomNotifier> notifier_;
};

}  // namespace toroni::bindings
