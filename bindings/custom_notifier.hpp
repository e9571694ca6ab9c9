// A notifier of the application's own: a Python object with notify(), wait(timeout) and fileno().
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "notifier.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

class CustomListener;

// Takes the GIL for each call: never called with a lock of the core's held.
class CustomNotifier : public blocking::Notifier {
public:
    explicit CustomNotifier(nb::object object) : object_(std::move(object)) {}
    ~CustomNotifier() override;
    // An error of the object's is not one of the publication: it goes to sys.unraisablehook.
    void notify(ring::Writer& writer) override;
    void wake();
    void wait(os::Nanoseconds timeout);
    // With timeout 0: takes earlier notifications, which are those of all readers of this process.
    void take_earlier();
    [[nodiscard]] int fileno();

    void add(CustomListener& listener) { listeners_.push_back(&listener); }
    void remove(CustomListener& listener) { std::erase(listeners_, &listener); }

private:
    nb::object call_method(const char* name, const nb::tuple& arguments);

    nb::object object_;
    std::vector<CustomListener*> listeners_;  // those that lend a descriptor; guarded by the GIL
};

class CustomListener : public blocking::Listener {
public:
    explicit CustomListener(std::shared_ptr<CustomNotifier> notifier) : notifier_(std::move(notifier)) {}
    ~CustomListener() override { notifier_->remove(*this); }
    os::FutexResult sleep(ring::Reader& reader, os::Nanoseconds timeout) override;
    void interrupt(ring::Reader&) override { notifier_->wake(); }
    using Listener::signal;

protected:
    void start(ring::Reader& reader) override;
    bool stop(ring::Reader& reader) override {
        reader.clear_waiting();
        return false;
    }
    int source() override;

private:
    std::shared_ptr<CustomNotifier> notifier_;
};

}  // namespace toroni::bindings
