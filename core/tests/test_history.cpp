// What is lost and how it is counted, and what the ring still holds.
#include "fixtures.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

using namespace fixtures;
using ring::ReadStatus;
using ring::StartKind;

TEST(an_overtaken_reader_is_told_how_many_bytes_and_messages_and_goes_on) {
    Ring ring;
    const auto reader = ring.reader();
    std::vector<Received> received;
    ring.write(50);
    CHECK(read(*reader, received) == ReadStatus::messages);
    const auto from = reader->position();
    for (int i = 0; i < 100; ++i) ring.write(8 + static_cast<std::size_t>(i) * 7, overwrite);
    CHECK(read(*reader, received) == ReadStatus::lost);
    const auto loss = reader->resume(ReadStatus::lost);
    CHECK_EQUAL(loss.from, from);
    CHECK_EQUAL(loss.to, ring.memory->ring().free_pos.load());
    CHECK_EQUAL(loss.bytes, loss.to - loss.from);
    CHECK_EQUAL(loss.messages.value(), 100u);
    CHECK(read(*reader, received) == ReadStatus::empty);
    ring.write(60);
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK_EQUAL(seed_of(received.back().bytes), 102u);
}

TEST(a_copy_that_was_overtaken_is_thrown_away) {
    Ring ring;
    const auto reader = ring.reader();
    ring.write(1000);
    CHECK(reader->begin(1, 1 << 20) == ReadStatus::messages);
    Bytes copy(reader->frames()[0].length);
    for (int i = 0; i < 10; ++i) ring.write(1000, overwrite);
    reader->copy(reader->frames()[0], copy.data());
    CHECK(!reader->commit());
    CHECK_EQUAL(reader->position(), 0u);
    CHECK_EQUAL(reader->resume(ReadStatus::lost).messages.value(), 11u);
}

TEST(a_claim_alone_makes_old_positions_lost) {
    Ring ring;
    const auto reader = ring.reader();
    ring.write(100);
    ring.memory->ring_extension()->claim_pos.store(4096);  // a writer died in the middle of a copy
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::messages);  // position 0 is exactly one capacity behind
    CHECK(ring.write(100).has_value());
    ring.memory->ring_extension()->claim_pos.store(105 + 4097);
    CHECK(read(*reader, received) == ReadStatus::lost);
    CHECK_EQUAL(reader->resume(ReadStatus::lost).bytes, 105u);
    CHECK(ring.write(100).has_value());
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK_EQUAL(ring.memory->ring_extension()->claim_pos.load(), 105u + 4097u);  // never lowered
}

TEST(the_count_is_right_after_a_death_between_publication_and_count) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 5; ++i) ring.write(50);
    auto* extension = ring.memory->ring_extension();
    const auto behind = ring::tally::newest(*extension);
    CHECK_EQUAL(behind->messages, 5u);
    ring.write(60);
    ring.write(70);
    // As if the last two had been published by writers that died before they counted.
    for (auto& record : extension->counts) ring::tally::store(record, *behind);
    ring.write(80);
    CHECK_EQUAL(ring::tally::newest(*extension)->messages, 8u);
    CHECK_EQUAL(ring::tally::newest(*extension)->bytes, 5u * 50u + 60u + 70u + 80u);
    // As if one record had been left half written.
    extension->counts[0].begin.fetch_add(1);
    CHECK(ring::tally::newest(*extension).has_value());
    ring.write(90);
    CHECK_EQUAL(ring::tally::newest(*extension)->messages, 9u);
    for (int i = 0; i < 100; ++i) ring.write(90, overwrite);
    CHECK_EQUAL(reader->resume(ReadStatus::lost).messages.value(), 109u);
}

TEST(a_reader_from_history_that_never_saw_the_end_knows_what_it_missed) {
    Ring ring;
    for (int i = 0; i < 20; ++i) ring.write(100);
    const auto from_oldest = ring.reader({StartKind::oldest});
    const auto from_position = ring.reader({StartKind::position, 5 * 105});
    std::vector<Received> received;
    CHECK(read(*from_oldest, received, 3) == ReadStatus::messages);
    CHECK(read(*from_position, received, 3) == ReadStatus::messages);
    for (int i = 0; i < 100; ++i) ring.write(90, overwrite);
    CHECK_EQUAL(from_oldest->resume(ReadStatus::lost).messages.value(), 117u);
    CHECK_EQUAL(from_position->resume(ReadStatus::lost).messages.value(), 112u);
}

TEST(what_cannot_be_counted_is_not_guessed) {
    Ring ring;
    const auto reader = ring.reader();
    ring.write(50);
    // A foreign writer moved the stream on by more than the ring holds.
    ring.memory->ring().free_pos.store(55 + 10 * 4096);
    ring.write(50);
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::lost);
    CHECK(!reader->resume(ReadStatus::lost).messages.has_value());
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    CHECK_EQUAL(reader->resume(ReadStatus::lost).messages.value(), 100u);  // counted anew from there
}

TEST(large_messages_are_not_forgotten_for_what_is_announced_ahead) {
    for (const std::size_t count : {2u, 3u, 8u, 60u}) {
        Ring ring(65536);
        const std::size_t size = 65536 / count - 100;  // with what alignment takes
        for (int i = 0; i < 200; ++i) CHECK(ring.write(size, overwrite).has_value());
        const auto reader = ring.reader({StartKind::oldest});
        std::vector<Received> received;
        while (read(*reader, received) == ReadStatus::messages) {
        }
        CHECK(received.size() + (count > 30 ? 2 : 1) >= count);
        CHECK(count > 2 || received.size() == 2u);
    }
}

TEST(the_oldest_message_is_found_and_history_read) {
    for (const std::uint64_t capacity : {64u, 256u, 4096u, 65536u}) {
        Ring ring(capacity);
        std::vector<base::Position> positions;
        for (std::size_t i = 0; i < 3000; ++i) {
            positions.push_back(*ring.write(8 + i * 31 % (capacity / 2 - 20), overwrite));
            if (i % 17 != 0) continue;
            const auto reader = ring.reader({StartKind::oldest});
            std::vector<Received> received;
            while (read(*reader, received) == ReadStatus::messages) {
            }
            CHECK_EQUAL(received.back().position, positions.back());
            CHECK(received.size() <= positions.size());
            for (std::size_t k = 0; k < received.size(); ++k) {  // a suffix without a gap
                CHECK_EQUAL(received[k].position, positions[positions.size() - received.size() + k]);
                CHECK(is_whole(received[k].bytes));
            }
            // At most a sector and a frame's worth of readable history is left out.
            const auto oldest = received.front().position;
            CHECK(oldest == 0 || positions.back() - oldest + capacity / 64 + capacity / 2 + capacity / 2 >= capacity);
        }
    }
}

TEST(landmarks_that_name_no_frame_are_not_believed) {
    Ring ring;
    for (std::size_t i = 0; i < 200; ++i) ring.write(8 + i * 13 % 300, overwrite);
    const auto end = ring.memory->ring().free_pos.load();
    auto& landmarks = ring.memory->ring_extension()->landmarks;
    const auto genuine = ring::find_oldest(*ring.memory);
    CHECK(genuine < end);
    for (std::size_t i = 0; i < base::landmark_count; i += 2) landmarks[i].store(end - 4000 + i * 7);
    std::vector<Received> received;
    const auto reader = ring.reader({StartKind::oldest});
    while (read(*reader, received) == ReadStatus::messages) {
    }
    for (const auto& message : received) CHECK(is_whole(message.bytes));
    for (auto& landmark : landmarks) landmark.store(0xffffffffffffff00);
    CHECK_EQUAL(ring::find_oldest(*ring.memory), end);
}

TEST(a_reader_can_start_where_a_message_starts_and_nowhere_else) {
    Ring ring;
    ring.write(100);
    const auto second = *ring.write(100);
    ring.write(100);
    const auto reader = ring.reader({StartKind::position, second});
    std::vector<Received> received;
    read(*reader, received);
    CHECK_EQUAL(received.size(), 2u);
    CHECK_THROWS(ring.reader({StartKind::position, second + 1}), base::ErrorCode::invalid_argument);
    CHECK_THROWS(ring.reader({StartKind::position, 100000}), base::ErrorCode::invalid_argument);
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    const auto late = ring.reader({StartKind::position, second});  // lost already: the first read says so
    CHECK(read(*late, received) == ReadStatus::lost);
}
