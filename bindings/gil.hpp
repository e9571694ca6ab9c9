// Giving up the interpreter lock, and taking it back.
#pragma once

#include <Python.h>
#include <unistd.h>

namespace toroni::bindings {

#if PY_VERSION_HEX < 0x030D0000
inline bool interpreter_is_finalizing() { return _Py_IsFinalizing() != 0; }
#else
inline bool interpreter_is_finalizing() { return Py_IsFinalizing() != 0; }
#endif

// Releases the GIL for its lifetime. May be suspended in between to run Python code.
class ReleasedGil {
public:
    ReleasedGil() : state_(PyEval_SaveThread()) {}
    ~ReleasedGil() { take(); }
    ReleasedGil(const ReleasedGil&) = delete;
    ReleasedGil& operator=(const ReleasedGil&) = delete;

    void take() {
        if (state_ == nullptr) return;
        // Before Python 3.14 a daemon thread that wants the GIL of a finished interpreter is ended by
        // unwinding its C++ frames, which ends the process. Sleep for ever instead, as 3.14 does.
        while (interpreter_is_finalizing() && getpid() != static_cast<pid_t>(gettid())) pause();
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // the same, where finalization began while we queued
            while (true) pause();
        }
        state_ = nullptr;
    }
    void give() {
        if (state_ == nullptr) state_ = PyEval_SaveThread();
    }

private:
    PyThreadState* state_;
};

}  // namespace toroni::bindings
