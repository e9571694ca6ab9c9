// The first word of a glibc mutex, which the kernel and all participants agree on.
#pragma once

#include <linux/futex.h>
#include <pthread.h>

#include <cstdint>

namespace toroni::os {

[[nodiscard]] inline std::uint32_t* lock_word_address(pthread_mutex_t& mutex) noexcept {
    return reinterpret_cast<std::uint32_t*>(&mutex);
}

// acquire: pairs with the owner's store when it locked or unlocked.
[[nodiscard]] inline std::uint32_t load_lock_word(const pthread_mutex_t& mutex) noexcept {
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(&mutex), __ATOMIC_ACQUIRE);
}

// The owner's thread id; 0 if nobody holds the lock.
[[nodiscard]] constexpr std::uint32_t owner_of(std::uint32_t word) noexcept { return word & FUTEX_TID_MASK; }

// Held by a thread that lives, as far as the kernel knows: it sets the owner-died bit at the owner's death.
[[nodiscard]] constexpr bool is_held(std::uint32_t word) noexcept {
    return owner_of(word) != 0 && (word & FUTEX_OWNER_DIED) == 0;
}

}  // namespace toroni::os
