// Positions in the stream: u64 numbers that only grow and may wrap around.
#pragma once

#include <cstdint>

namespace toroni::base {

using Position = std::uint64_t;

// How far `to` lies ahead of `from`; negative if it lies behind. Right for any two positions less than
// 2^63 bytes apart, also across the wrap of u64.
[[nodiscard]] constexpr std::int64_t distance(Position from, Position to) noexcept {
    return static_cast<std::int64_t>(to - from);
}

[[nodiscard]] constexpr Position later(Position a, Position b) noexcept { return distance(a, b) > 0 ? b : a; }

[[nodiscard]] constexpr Position earlier(Position a, Position b) noexcept { return distance(a, b) > 0 ? a : b; }

// A position is lost when a write has been announced that reaches more than one capacity beyond it: the
// bytes at `position` may then be overwritten. `horizon` is the furthest announced or published position.
[[nodiscard]] constexpr bool is_lost(Position position, Position horizon, std::uint64_t capacity) noexcept {
    return distance(position, horizon) > static_cast<std::int64_t>(capacity);
}

}  // namespace toroni::base
