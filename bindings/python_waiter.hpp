// How the loops of blocking.hpp wait on behalf of Python.
#pragma once

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
    void before_wait() {
        if (!released_) released_.emplace();
    }
    void after_wait(bool maybe_signal) {
        if (!maybe_signal) return;
        released_->take();
        check_signals();
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
    std::optional<ReleasedGil> released_;
};

}  // namespace toroni::bindings
