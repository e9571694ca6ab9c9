// Until when to wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "toroni/os/futex.hpp"

namespace toroni::blocking {

using os::Nanoseconds;
using Clock = std::chrono::steady_clock;

// Nothing: wait for ever.
class Deadline {
public:
    explicit Deadline(std::optional<Nanoseconds> timeout) {
        if (timeout) at_ = Clock::now() + std::min(*timeout, Nanoseconds{std::chrono::hours{24 * 365}});
    }
    [[nodiscard]] bool has_passed() const { return at_ && Clock::now() >= *at_; }
    [[nodiscard]] Nanoseconds remaining(Nanoseconds at_most) const {
        if (!at_) return at_most;
        return std::clamp(std::chrono::duration_cast<Nanoseconds>(*at_ - Clock::now()), Nanoseconds{0}, at_most);
    }

private:
    std::optional<Clock::time_point> at_;
};

}  // namespace toroni::blocking
