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

// Before Python 3.14 a daemon thread that wants the GIL of an interpreter that has ended is itself ended, by unwinding
// its stack: through our frames that would end the process. So it stops here for ever, as 3.14 does.
[[noreturn]] inline void stop_for_ever() {
    while (true) pause();
}

// Calls into Python in a way that survives that: whatever may run Python code on behalf of a waiting or writing thread
// goes through here. A new reference, or null with an exception set.
inline PyObject* call_python(PyObject* callable, PyObject* arguments) {
    try {
        return PyObject_CallObject(callable, arguments);
    } catch (...) {  // C code throws nothing else
        stop_for_ever();
    }
}

// Has the GIL for its lifetime, whether this thread had it before or not.
class EnsuredGil {
public:
    EnsuredGil() : state_(ensure()) {}
    ~EnsuredGil() { PyGILState_Release(state_); }
    EnsuredGil(const EnsuredGil&) = delete;
    EnsuredGil& operator=(const EnsuredGil&) = delete;

private:
    static PyGILState_STATE ensure() {
        if (interpreter_is_finalizing() && getpid() != static_cast<pid_t>(gettid())) stop_for_ever();
        try {
            return PyGILState_Ensure();
        } catch (...) {  // the same, where finalization began while we queued
            stop_for_ever();
        }
    }
    PyGILState_STATE state_;
};

// Releases the GIL for its lifetime. May be suspended in between to run Python code.
class ReleasedGil {
public:
    ReleasedGil() : state_(PyEval_SaveThread()) {}
    ~ReleasedGil() { take(); }
    ReleasedGil(const ReleasedGil&) = delete;
    ReleasedGil& operator=(const ReleasedGil&) = delete;

    void take() {
        if (state_ == nullptr) return;
        if (interpreter_is_finalizing() && getpid() != static_cast<pid_t>(gettid())) stop_for_ever();
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {  // the same, where finalization began while we queued
            stop_for_ever();
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
