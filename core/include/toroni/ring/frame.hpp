// Where a frame goes, and what a header says.
//
// A frame never wraps around the end of the ring. Fewer than 5 bytes left there: no header, both sides skip
// them. A frame that does not fit: a padding frame fills the rest. Exactly 5 bytes left behind a frame would
// become a padding frame of length 0, which C++ readers take for an overwritten header: so a frame that would
// leave them goes to index 0, behind padding. One frame cannot avoid it: that of capacity - 5 bytes at index
// 0; and where 5 bytes are left all the same, a padding frame of length 0 is written, and our readers take it.
//
// A large buffer begins at an address that is a multiple of 64, so that whoever looks at it in place can use it as an
// array of anything: a padding frame before its message fills the gap, never one of length 0.
#pragma once

#include <algorithm>
#include <cstdint>

#include "toroni/base/layout.hpp"
#include "toroni/base/racing_copy.hpp"

namespace toroni::ring {

struct Placement {
    std::uint64_t skip;    // to the ring's end: padding, or a blank tail if fewer than 5 bytes
    std::uint64_t gap;     // padding behind that
    base::Position frame;  // where its header goes
    base::Position end;
};

inline constexpr std::uint64_t alignment = 64;
// Smaller buffers are not worth a padding frame.
inline constexpr std::uint64_t least_aligned = 4096;

[[nodiscard]] constexpr std::uint64_t bytes_to_ring_end(base::Position position, std::uint64_t capacity) noexcept {
    return capacity - (position & (capacity - 1));
}

// Before a frame at `at` or behind, so that what lies `lead` bytes behind its header is aligned.
[[nodiscard]] constexpr std::uint64_t gap_before(base::Position at, std::uint64_t lead) noexcept {
    const std::uint64_t gap = (0 - (sizeof(base::RingHeader) + at + base::frame_header_size + lead)) % alignment;
    return gap == 0 || gap > base::frame_header_size ? gap : gap + alignment;
}

// `body` is at most capacity - 5.
[[nodiscard]] constexpr Placement place(base::Position at, std::uint64_t body, std::uint64_t capacity) noexcept {
    const std::uint64_t size = base::frame_header_size + body;
    const std::uint64_t rest = bytes_to_ring_end(at, capacity);
    const bool fits = size <= rest && (rest - size != base::frame_header_size || rest == capacity);
    const std::uint64_t skip = fits ? 0 : rest;
    return {skip, 0, at + skip, at + skip + size};
}

// The same, so that what lies `lead` bytes behind the header is aligned. Not for a message of nearly half the ring.
[[nodiscard]] constexpr Placement place_aligned(base::Position at, std::uint64_t body, std::uint64_t capacity,
                                                std::uint64_t lead) noexcept {
    const std::uint64_t gap = gap_before(at, lead);
    const Placement plain = place(at, gap + body, capacity);
    if (base::frame_header_size + body + 2 * alignment > capacity / 2) return place(at, body, capacity);
    if (plain.skip == 0) return {0, gap, at + gap, plain.end};
    const std::uint64_t gap_at_start = gap_before(plain.frame, lead);
    const base::Position frame = plain.frame + gap_at_start;
    return {plain.skip, gap_at_start, frame, frame + base::frame_header_size + body};
}

struct FrameHeader {
    std::uint8_t type;
    std::uint32_t length;
};

// May race with a writer: the result means nothing before the claim test has passed.
[[nodiscard]] inline FrameHeader read_header(const std::byte* at) noexcept {
    FrameHeader header;
    base::copy_from_ring(&header.type, at, sizeof header.type);
    base::copy_from_ring(&header.length, at + sizeof header.type, sizeof header.length);
    return header;
}

inline void write_header(std::byte* at, base::FrameType type, std::uint64_t length) noexcept {
    const FrameHeader header{static_cast<std::uint8_t>(type), static_cast<std::uint32_t>(length)};
    base::copy_to_ring(at, &header.type, sizeof header.type);
    base::copy_to_ring(at + sizeof header.type, &header.length, sizeof header.length);
}

enum class StepKind { message, padding, damage };

// One step of a walk along the frames from `at` to at most `limit`.
struct Step {
    StepKind kind;
    std::uint64_t length;  // of a message's body
    base::Position end;
};

[[nodiscard]] inline Step step(const std::byte* data, std::uint64_t capacity, base::Position at,
                               base::Position limit) noexcept {
    const std::uint64_t rest = bytes_to_ring_end(at, capacity);
    const auto available = static_cast<std::uint64_t>(base::distance(at, limit));
    const std::uint64_t most = std::min(rest, available);
    if (most < base::frame_header_size) {
        if (rest < base::frame_header_size && rest <= available) return {StepKind::padding, 0, at + rest};
        return {StepKind::damage, 0, at};
    }
    const FrameHeader header = read_header(data + (at & (capacity - 1)));
    const std::uint64_t size = base::frame_header_size + header.length;
    if (size > most) return {StepKind::damage, 0, at};
    const bool is_message = header.type == static_cast<std::uint8_t>(base::FrameType::message);
    if (is_message && header.length != 0) return {StepKind::message, header.length, at + size};
    if (header.type == static_cast<std::uint8_t>(base::FrameType::padding)) return {StepKind::padding, 0, at + size};
    return {StepKind::damage, 0, at};
}

}  // namespace toroni::ring
