// Reading with a filter: what is skipped costs no copy, is counted, and never stands in the way.
#include "fixtures.hpp"

using namespace fixtures;
using ring::Filter;
using ring::ReadStatus;

namespace {

// Takes messages whose seed is a multiple of `every`, refuses those with the seed `bad`.
class Every : public Filter {
public:
    explicit Every(std::uint64_t every, std::uint64_t bad = 0) : every_(every), bad_(bad) {}
    Verdict judge(const std::byte* body, ring::Frame& frame) override {
        ++judged;
        std::uint64_t seed = 0;
        base::copy_from_ring(&seed, body, sizeof seed);
        frame.keep(8, false);
        if (seed == bad_) return Verdict::refuse;
        return seed % every_ == 0 ? Verdict::take : Verdict::skip;
    }
    int judged = 0;

private:
    std::uint64_t every_, bad_;
};

}  // namespace

TEST(what_is_not_wanted_is_skipped_in_one_run) {
    Ring ring(1u << 20);
    const auto reader = ring.reader();
    for (int i = 0; i < 1000; ++i) ring.write(8 + static_cast<std::size_t>(i) % 50);
    Every filter(100);
    CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::messages);
    CHECK_EQUAL(reader->frames().size(), 10u);
    CHECK_EQUAL(filter.judged, 1000);
    for (const auto& frame : reader->frames()) CHECK_EQUAL(frame.payload() + 8, frame.length);
    CHECK(reader->commit());
    CHECK_EQUAL(reader->position(), ring.memory->ring().free_pos.load());
    CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::empty);
}

TEST(nothing_wanted_makes_room_all_the_same) {
    Ring ring;
    const auto reader = ring.reader();
    Every filter(1u << 30);
    for (int i = 0; i < 2000; ++i) {
        CHECK(ring.write(8 + static_cast<std::size_t>(i) % 400, fail).has_value());
        CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::empty);
    }
}

TEST(long_skips_are_committed_in_steps) {
    Ring ring(1u << 20);
    const auto reader = ring.reader();
    while (ring.write(1000, fail)) {
    }
    Every filter(1u << 30);
    int steps = 0;
    while (reader->begin(64, 1u << 20, &filter) == ReadStatus::skipped) ++steps;
    CHECK_EQUAL(steps, 7);
    CHECK_EQUAL(reader->lag(), 0u);
}

TEST(skipped_messages_are_no_losses) {
    Ring ring;
    const auto reader = ring.reader();
    Every filter(10);
    std::uint64_t lost = 0, seen = 0;
    for (int i = 1; i <= 5000; ++i) {
        ring.write(8 + static_cast<std::size_t>(i) % 60, overwrite);
        if (i % 500 > 200) continue;
        while (true) {
            const auto status = reader->begin(3, 1u << 20, &filter);
            if (status == ReadStatus::empty) break;
            if (status == ReadStatus::lost) lost += reader->resume(status).messages.value();
            if (status == ReadStatus::messages) seen += reader->frames().size();
            if (status == ReadStatus::messages) CHECK(reader->commit());
        }
    }
    CHECK(lost > 1000);
    CHECK(seen > 100);
    CHECK(seen < (5000 - lost) / 10 + 60);
    while (reader->begin(64, 1u << 20, &filter) != ReadStatus::empty) static_cast<void>(reader->commit());
    for (int i = 0; i < 200; ++i) ring.write(100, overwrite);
    CHECK(reader->begin(3, 1u << 20, &filter) == ReadStatus::lost);
    CHECK_EQUAL(reader->resume(ReadStatus::lost).messages.value(), 200u);
}

TEST(a_message_that_cannot_be_read_is_told_alone) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 5; ++i) ring.write(20);
    Every filter(1, 3);
    CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::messages);
    CHECK_EQUAL(reader->frames().size(), 2u);
    CHECK(reader->commit());
    CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::refused);
    const auto loss = reader->resume(ReadStatus::refused);
    CHECK_EQUAL(loss.messages.value(), 1u);
    CHECK_EQUAL(loss.from, 50u);
    CHECK_EQUAL(loss.to, 75u);
    CHECK_EQUAL(loss.bytes, 25u);
    CHECK(reader->begin(64, 1u << 20, &filter) == ReadStatus::messages);
    CHECK_EQUAL(reader->frames().size(), 2u);
}

TEST(a_message_shown_in_place_is_pinned_or_known_to_be_overwritten) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 10; ++i) ring.write(100);
    for (int i = 0; i < 4; ++i) {
        CHECK(reader->begin(1, 1u << 20) == ReadStatus::messages);
        CHECK(reader->commit());
    }
    CHECK(reader->begin(1, 1u << 20) == ReadStatus::messages);
    reader->pin();
    CHECK_EQUAL(ring.memory->slot(0).position.load(), reader->position());
    while (ring.write(100, fail)) {
    }
    CHECK_EQUAL(std::to_integer<int>(*reader->bodies().payload_of(reader->frames()[0])), 5);  // its seed
    CHECK(reader->commit());
    CHECK(reader->begin(1, 1u << 20) == ReadStatus::messages);
    reader->pin();
    for (int i = 0; i < 30; ++i) ring.write(100, overwrite);
    CHECK(!reader->commit());
}
