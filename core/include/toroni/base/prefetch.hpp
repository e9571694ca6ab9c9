// A hint that changes nothing: a cache line that will be written soon is fetched meanwhile, for this processor alone.
#pragma once

#include <cstddef>

namespace toroni::base {

// Of the next two lines.
inline void prefetch_to_write(const void* at) noexcept {
    constexpr std::size_t line = 64;
#if defined(__x86_64__)
    // The compiler's builtin would fetch it to read, since very old processors take this one for no operation.
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(at)));
    asm volatile("prefetchw %0" : : "m"(*(static_cast<const char*>(at) + line)));
#else
    __builtin_prefetch(at, 1);
    __builtin_prefetch(static_cast<const char*>(at) + line, 1);
#endif
}

}  // namespace toroni::base
