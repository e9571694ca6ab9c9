// How the loops of blocking.hpp wait on behalf of Python.
#pragma once

#include <atomic>
#include <optional>

#include "errors.hpp"
#include "gil.hpp"

namespace toroni::bindings {

// Lets pending signal handlers run; throws what they raise. Needs the GIL.
inline void check_signals() {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

// Made and ended with the GIL held.
class PythonWaiter {
public:
    // `closing`, if given, ends a wait as soon as it is true.
    explicit PythonWaiter(const std::atomic<bool>* closing = nullptr) : closing_(closing) {}
    void before_wait() {
        if (!released_) released_.emplace();
    }
    void after_wait(bool maybe_signal) {
        if (!maybe_signal && !is_closing()) return;
        released_->take();
        check_signals();
        if (is_closing()) raise("Closed", "the reader was closed during the wait");  // perhaps by a signal handler
        released_->give();
    }
    void finish() { released_.reset(); }
    // Runs code that needs the GIL, in the middle of a wait.
    template <class Code>
    auto with_gil(Code&& code) {
        if (!released_) return code();
        released_->take();
        const Regive regive{*released_};
        return code();
    }

private:
    struct Regive {
        ReleasedGil& released;
        ~Regive() { released.give(); }
    };
    [[nodiscard]] bool is_closing() const { return closing_ != nullptr && closing_->load(); }

    const std::atomic<bool>* closing_;
    std::optional<ReleasedGil> released_;
};

}  // namespace toroni::bindings
