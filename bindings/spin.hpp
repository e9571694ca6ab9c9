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

    // Where messages come one right after the other, a moment's patience makes one run of many of them: each look at
    // what the writer is writing costs it the cache line, and so several times what a message does. `end()` is the
    // stream's end. Where it stands still the moment was wasted, and the next ones are not spent.
    template <class End>
    void gather(End&& end) noexcept {
        if (skipped_ < skip_) {
            ++skipped_;
            return;
        }
        constexpr int most_moments = 16;
        bool moved = false;
        auto seen = end();
        for (int i = 0; i < most_moments; ++i) {
            const auto until = Clock::now() + moment;
            do relax();
            while (Clock::now() < until);
            const auto now = end();
            if (now == seen) break;
            seen = now;
            moved = true;
        }
        skip_ = moved ? 0 : std::min(2 * skip_ + 1, most_skipped);
        skipped_ = 0;
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

    static constexpr os::Nanoseconds moment{250};  // a message or two
    static constexpr int most_skipped = 1023;

    bool is_worth_it_ = false;
    int skip_ = 0;  // calls of gather() that do nothing, and how many have
    int skipped_ = 0;
};

}  // namespace toroni::blocking
