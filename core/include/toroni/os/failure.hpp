// errno -> Error, with what to do about it.
#pragma once

#include <cerrno>
#include <string>

#include "toroni/base/error.hpp"

namespace toroni::os {

// What to do about it, from "; " on; empty where nothing can be said in general.
[[nodiscard]] std::string advice(int error);

// `what` says what we tried, e.g. "open /dev/shm/toroni-plant-rb".
[[noreturn]] void fail(const std::string& what, int error = errno);

// With advice that only the caller can give.
[[noreturn]] void fail(const std::string& what, int error, const std::string& to_do);

}  // namespace toroni::os
