// The one exception type of the core. Outcomes that a caller expects (no room, empty, lost, an owner that
// died) are return values, not exceptions.
#pragma once

#include <stdexcept>
#include <string>

namespace toroni::base {

enum class ErrorCode {
    invalid_argument,   // the caller's mistake
    permission_denied,  // the files exist, but not for us
    no_space,           // shared memory is full
    not_found,          // there is no such bus, and none was to be made
    not_ready,          // being made or removed by somebody right now: try again
    damaged,            // the bytes found are not those of a bus
    incompatible,       // a bus, but of other sizes, another version, another PID namespace
    slots_exhausted,    // max_readers readers are attached
    system,             // any other failed system call
};

class Error : public std::runtime_error {
public:
    // `number` is the errno of the system call that failed; 0 if none did.
    Error(ErrorCode code, const std::string& message, int number = 0)
        : std::runtime_error(message), code_(code), number_(number) {}
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    ErrorCode code_;
    int number_;
};

}  // namespace toroni::base
