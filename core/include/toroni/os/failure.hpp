// errno -> Error.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "toroni/base/error.hpp"

namespace toroni::os {

// `what` says what we tried, e.g. "open /dev/shm/toroni-plant-rb".
[[noreturn]] inline void fail(base::ErrorCode code, const std::string& what, int error = errno) {
    throw base::Error(code, "cannot " + what + ": " + std::generic_category().message(error));
}

[[noreturn]] inline void fail(const std::string& what, int error = errno) {
    const bool denied = error == EACCES || error == EPERM || error == EROFS;
    fail(denied ? base::ErrorCode::permission_denied : base::ErrorCode::system, what, error);
}

}  // namespace toroni::os
