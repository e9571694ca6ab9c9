// Sleeping on a word of shared memory, and waking those who do. Process-shared (never FUTEX_PRIVATE_FLAG).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

namespace toroni::os {

using Nanoseconds = std::chrono::nanoseconds;

enum class FutexResult {
    woken,  // by a wake, or because the word no longer held the expected value
    timed_out,
    interrupted,  // by a signal
};

// Works on a read-only mapping too: the kernel only reads the word.
inline FutexResult futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Nanoseconds timeout) {
    if (timeout.count() < 0) timeout = Nanoseconds{0};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
    const timespec relative{static_cast<time_t>(seconds.count()), static_cast<long>((timeout - seconds).count())};
    if (syscall(SYS_futex, &word, FUTEX_WAIT, expected, &relative, nullptr, 0) == 0) return FutexResult::woken;
    if (errno == ETIMEDOUT) return FutexResult::timed_out;
    if (errno == EINTR) return FutexResult::interrupted;
    return FutexResult::woken;  // EAGAIN: the word has changed already
}

inline void futex_wake(const std::atomic<std::uint32_t>& word, int count = INT_MAX) {
    syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
}

}  // namespace toroni::os
