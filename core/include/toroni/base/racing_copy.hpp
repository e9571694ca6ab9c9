// Copies of ring bytes that may race with a writer of another process. A reader may copy bytes while they
// are being overwritten; the claim test after the copy then says so, and the copy is thrown away. The
// language calls such a race undefined; what we rely on is that memcpy between ordinary memory moves bytes
// and nothing else, which holds on every platform that we support. Under ThreadSanitizer the same copies
// are made of relaxed atomic bytes, so that it reports every other race.
#pragma once

#include <cstddef>
#include <cstring>

#include "toroni/base/fence.hpp"

namespace toroni::base {

#ifdef TORONI_THREAD_SANITIZER
inline void copy_from_ring(void* to, const std::byte* from, std::size_t size) noexcept {
    auto* out = static_cast<std::byte*>(to);
    for (std::size_t i = 0; i < size; ++i) out[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}
inline void copy_to_ring(std::byte* to, const void* from, std::size_t size) noexcept {
    const auto* in = static_cast<const std::byte*>(from);
    for (std::size_t i = 0; i < size; ++i) __atomic_store_n(to + i, in[i], __ATOMIC_RELAXED);
}
inline bool is_in_ring(const std::byte* at, const void* bytes, std::size_t size) noexcept {
    const auto* expected = static_cast<const std::byte*>(bytes);
    for (std::size_t i = 0; i < size; ++i) {
        if (__atomic_load_n(at + i, __ATOMIC_RELAXED) != expected[i]) return false;
    }
    return true;
}
inline std::size_t length_in_ring(const std::byte* at, std::size_t most) noexcept {
    std::size_t length = 0;
    while (length != most && __atomic_load_n(at + length, __ATOMIC_RELAXED) != std::byte{0}) ++length;
    return length;
}
#else
// A front and a back, which may overlap: what is from one to two of them long.
template <class Block>
inline void copy_in_two(void* to, const void* from, std::size_t size) noexcept {
    const std::size_t second = size - sizeof(Block);
    Block front, back;
    std::memcpy(&front, from, sizeof front);
    std::memcpy(&back, static_cast<const char*>(from) + second, sizeof back);
    std::memcpy(to, &front, sizeof front);
    std::memcpy(static_cast<char*>(to) + second, &back, sizeof back);
}

// Short ones are moved in place, since a call costs as much as they do.
inline void copy_bytes(void* to, const void* from, std::size_t size) noexcept {
    using Sixteen [[gnu::vector_size(16)]] = long long;
    if (__builtin_constant_p(size) || size - 8 > 64 - 8) {
        std::memcpy(to, from, size);
    } else if (size > 32) {
        copy_in_two<Sixteen>(to, from, 32);
        const std::size_t back = size - 32;
        copy_in_two<Sixteen>(static_cast<char*>(to) + back, static_cast<const char*>(from) + back, 32);
    } else if (size >= 16) {
        copy_in_two<Sixteen>(to, from, size);
    } else {
        copy_in_two<long long>(to, from, size);
    }
}

inline void copy_from_ring(void* to, const std::byte* from, std::size_t size) noexcept { copy_bytes(to, from, size); }
inline void copy_to_ring(std::byte* to, const void* from, std::size_t size) noexcept {
    if (size != 0) copy_bytes(to, from, size);
}
// Whether these bytes stand there.
inline bool is_in_ring(const std::byte* at, const void* bytes, std::size_t size) noexcept {
    return std::memcmp(at, bytes, size) == 0;
}
// How many bytes stand before the first NUL, or `most`.
inline std::size_t length_in_ring(const std::byte* at, std::size_t most) noexcept {
    return strnlen(reinterpret_cast<const char*>(at), most);
}
#endif

}  // namespace toroni::base
