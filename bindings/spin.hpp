// Looking again and again for a moment before sleeping: where messages come fast, going to sleep and being woken costs
// both sides many times what a message does.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>

#include "toroni/os/futex.hpp"

namespace toroni::blocking {

// Of one reader. Adaptive: it spins only if the wait before this one was short, so that a slow or an idle stream costs
// nothing but one attempt. After the first microsecond it yields, so that whoever writes can run here.
class Spin {
public:
    using Clock = std::chrono::steady_clock;
    // Longer than it takes to be woken on most machines.
    static constexpr os::Nanoseconds longest{50'000};

    [[nodiscard]] bool is_worth_it() const noexcept { return is_worth_it_; }

    // Whether `ready()` within the time. A few looks without a clock come first.
    template <class Ready>
    [[nodiscard]] bool wait(Ready&& ready, os::Nanoseconds at_most) const noexcept {
        if (look(ready)) return true;
        const auto end = Clock::now() + std::min(at_most, longest);
        do {
            sched_yield();
            if (look(ready)) return true;
        } while (Clock::now() < end);
        return false;
    }
    template <class Ready>
    [[nodiscard]] static bool look(Ready&& ready) noexcept {
        constexpr int looks = 20;
        for (int i = 0; i < looks; ++i) {
            if (ready()) return true;
            relax();
        }
        return false;
    }

    // The wait took this long, all in all.
    void learn(os::Nanoseconds waited) noexcept { is_worth_it_ = waited < longest; }

private:
    static void relax() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    bool is_worth_it_ = false;
};

}  // namespace toroni::blocking
