// Placement of frames, for every index and size of a small ring.
#include <vector>

#include "check.hpp"
#include "toroni/ring/frame.hpp"

using namespace toroni;
using ring::place;

TEST(every_index_and_size_of_a_small_ring) {
    constexpr std::uint64_t capacity = 64;
    for (std::uint64_t index = 0; index < capacity; ++index) {
        for (std::uint64_t body = 1; body <= capacity - 5; ++body) {
            const base::Position at = 10 * capacity + index;
            const auto placement = place(at, body, capacity);
            const auto frame_index = placement.frame % capacity;
            CHECK_EQUAL(placement.frame, at + placement.skip);
            CHECK_EQUAL(placement.end, placement.frame + 5 + body);
            CHECK(frame_index + 5 + body <= capacity);       // never wraps
            CHECK(placement.skip == 0 || frame_index == 0);  // skips to the start only
            CHECK(placement.skip == 0 || placement.skip == capacity - index);
            const auto left_behind = capacity - (frame_index + 5 + body);
            CHECK(left_behind != 5 || (frame_index == 0 && body == capacity - 10));  // the unavoidable one
        }
    }
}

TEST(copies_of_all_sizes_and_nothing_beside_them) {
    std::vector<std::byte> from(200);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i + 1);
    for (std::size_t size = 1; size <= 130; ++size) {
        for (std::size_t offset = 0; offset < 5; ++offset) {
            std::vector<std::byte> source(from.begin() + offset, from.begin() + offset + size), exact(size);
            std::vector<std::byte> around(size + 2 * offset, std::byte{0});
            base::copy_from_ring(exact.data(), source.data(), size);  // where a sanitizer watches the bounds
            base::copy_to_ring(around.data() + offset, source.data(), size);
            CHECK(exact == source);
            for (std::size_t i = 0; i < around.size(); ++i) {
                const bool inside = i >= offset && i < offset + size;
                CHECK(around[i] == (inside ? source[i - offset] : std::byte{0}));
            }
        }
    }
}

TEST(what_is_to_be_aligned_is) {
    constexpr std::uint64_t capacity = 16384;
    for (std::uint64_t index = 0; index < capacity; ++index) {
        for (const std::uint64_t lead : {0, 1, 16, 4095}) {
            for (const std::uint64_t body : {5000, 8000, 8059, 8060, 12000}) {
                const base::Position at = 10 * capacity + index;
                const auto placement = ring::place_aligned(at, body, capacity, lead);
                const auto frame_index = placement.frame % capacity;
                CHECK_EQUAL(placement.frame, at + placement.skip + placement.gap);
                CHECK_EQUAL(placement.end, placement.frame + 5 + body);
                CHECK(frame_index + 5 + body <= capacity);
                CHECK(placement.skip == 0 || placement.skip == capacity - index);
                CHECK(placement.gap == 0 || placement.gap > 5);  // a padding frame, and not an empty one
                CHECK(capacity - (frame_index + 5 + body) != 5);
                const bool is_aligned = (sizeof(base::RingHeader) + frame_index + 5 + lead) % ring::alignment == 0;
                CHECK(is_aligned || 5 + body + 2 * ring::alignment > capacity / 2);
                CHECK(!is_aligned || placement.gap == 0 || placement.end - at < capacity);
            }
        }
    }
}

namespace {

struct SmallRing {
    static constexpr std::uint64_t capacity = 64;
    std::vector<std::byte> bytes = std::vector<std::byte>(capacity);  // where a sanitizer watches the bounds
    std::byte* data = bytes.data();
    ring::Step step(base::Position at, base::Position limit) { return ring::step(data, capacity, at, limit); }
};

}  // namespace

TEST(steps_over_messages_padding_and_the_blank_tail) {
    SmallRing small;
    ring::write_header(small.data, base::FrameType::message, 40);
    ring::write_header(small.data + 45, base::FrameType::padding, 11);
    auto step = small.step(64, 64 + 64);
    CHECK(step.kind == ring::StepKind::message);
    CHECK_EQUAL(step.length, 40u);
    step = small.step(step.end, 64 + 64);
    CHECK(step.kind == ring::StepKind::padding);
    CHECK_EQUAL(step.end, 64u + 61u);
    step = small.step(step.end, 64 + 64);  // 3 bytes: no header
    CHECK(step.kind == ring::StepKind::padding);
    CHECK_EQUAL(step.end, 128u);
}

TEST(takes_the_zero_length_padding_of_others) {
    SmallRing small;
    ring::write_header(small.data + 59, base::FrameType::padding, 0);
    CHECK(small.step(59, 64).kind == ring::StepKind::padding);
    CHECK_EQUAL(small.step(59, 64).end, 64u);
}

TEST(damage_is_what_makes_no_sense) {
    SmallRing small;
    const auto damaged = [&](std::uint8_t type, std::uint32_t length, base::Position at, base::Position limit) {
        ring::write_header(small.data + at, static_cast<base::FrameType>(type), length);
        return small.step(at, limit).kind == ring::StepKind::damage;
    };
    CHECK(damaged(0, 0, 0, 64));   // a message without a body
    CHECK(damaged(2, 10, 0, 64));  // no such type
    CHECK(damaged(0, 60, 0, 64));  // beyond the ring's end
    CHECK(damaged(0, 0xffffffff, 0, 64));
    CHECK(damaged(1, 0xffffffff, 0, 64));
    CHECK(damaged(0, 20, 0, 24));  // beyond the stream end
    CHECK(!damaged(0, 20, 0, 25));
    CHECK(damaged(0, 20, 0, 4));                               // not even a header
    CHECK(small.step(61, 62).kind == ring::StepKind::damage);  // a stream end inside the blank tail
}
