// A process-shared mutex whose owner may die. The death of an owner is a return value.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <ctime>

#include "toroni/base/fence.hpp"
#include "toroni/os/failure.hpp"
#include "toroni/os/futex.hpp"

namespace toroni::os {

enum class LockResult {
    acquired,
    acquired_from_dead_owner,  // consistent again; what the owner guarded may be half done
    busy,                      // somebody holds it
    unusable,                  // its bytes are damaged
};

inline void initialize_robust_mutex(pthread_mutex_t& mutex) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    const int error = pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    if (error != 0) fail("initialise a robust mutex", error);
}

// Whether the bytes are those of a robust, process-shared, non-recursive mutex without priority protocol:
// glibc trusts the kind it finds, and would block for ever or misbehave on another one.
[[nodiscard]] inline bool looks_like_robust_mutex(const pthread_mutex_t& mutex) noexcept {
    constexpr int robust = 0x10, process_shared = 0x80;
    return mutex.__data.__kind == (robust | process_shared);
}

namespace detail {
inline LockResult lock_result(pthread_mutex_t& mutex, int error) noexcept {
    switch (error) {
        case 0: return LockResult::acquired;
        case EOWNERDEAD: pthread_mutex_consistent(&mutex); return LockResult::acquired_from_dead_owner;
        case EBUSY:
        case ETIMEDOUT: return LockResult::busy;
        default: return LockResult::unusable;
    }
}
}  // namespace detail

[[nodiscard]] inline LockResult try_lock(pthread_mutex_t& mutex) noexcept {
    return detail::lock_result(mutex, pthread_mutex_trylock(&mutex));
}

[[nodiscard]] inline LockResult try_lock_for(pthread_mutex_t& mutex, Nanoseconds timeout) noexcept {
    // ThreadSanitizer of older compilers does not know pthread_mutex_clocklock, and so would miss the lock.
#ifdef TORONI_THREAD_SANITIZER
    constexpr clockid_t clock = CLOCK_REALTIME;
#else
    constexpr clockid_t clock = CLOCK_MONOTONIC;
#endif
    timespec until{};
    clock_gettime(clock, &until);
    const auto total = Nanoseconds{until.tv_nsec} + timeout;
    until.tv_sec += static_cast<time_t>(total.count() / 1'000'000'000);
    until.tv_nsec = static_cast<long>(total.count() % 1'000'000'000);
#ifdef TORONI_THREAD_SANITIZER
    return detail::lock_result(mutex, pthread_mutex_timedlock(&mutex, &until));
#else
    return detail::lock_result(mutex, pthread_mutex_clocklock(&mutex, clock, &until));
#endif
}

inline void unlock(pthread_mutex_t& mutex) noexcept { pthread_mutex_unlock(&mutex); }

[[nodiscard]] constexpr bool is_acquired(LockResult result) noexcept {
    return result == LockResult::acquired || result == LockResult::acquired_from_dead_owner;
}

}  // namespace toroni::os
