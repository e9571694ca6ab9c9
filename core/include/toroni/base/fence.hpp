// Every fence of the core, in one place, because ThreadSanitizer does not understand fences.
#pragma once

#include <atomic>

#if defined(__SANITIZE_THREAD__)
#define TORONI_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TORONI_THREAD_SANITIZER 1
#endif
#endif

namespace toroni::base::fence {

#ifdef TORONI_THREAD_SANITIZER
// A read-modify-write of a thread's own atomic is a full barrier in hardware, and unlike one of a shared
// atomic it gives ThreadSanitizer no happens-before between threads that the real fences do not give.
inline void full_barrier() noexcept {
    thread_local std::atomic<int> own{0};
    own.fetch_add(1, std::memory_order_seq_cst);
}
inline void seq_cst() noexcept { full_barrier(); }
inline void acquire() noexcept { full_barrier(); }
inline void release() noexcept { full_barrier(); }
#else
// Orders everything before it with everything after it, across all threads and processes.
inline void seq_cst() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
// Loads before it stay before loads and stores after it.
inline void acquire() noexcept { std::atomic_thread_fence(std::memory_order_acquire); }
// Loads and stores before it stay before stores after it.
inline void release() noexcept { std::atomic_thread_fence(std::memory_order_release); }
#endif

// seq_cst() for who has just taken, or given back, a glibc mutex that processes share: on x86 both are done by a locked
// instruction, which is a full fence already.
#if defined(__x86_64__) && !defined(TORONI_THREAD_SANITIZER)
inline void seq_cst_with_mutex() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }
#else
inline void seq_cst_with_mutex() noexcept { seq_cst(); }
#endif

// Keeps the compiler from moving accesses; for what only a death in this very thread could observe.
inline void compiler() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace toroni::base::fence
