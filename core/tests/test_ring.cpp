// Writer and reader in one thread: order, room, loss, counts, landmarks, foreign segments.
#include "fixtures.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

using namespace fixtures;
using ring::ReadStatus;
using ring::StartKind;

namespace {

struct Ring {
    explicit Ring(std::uint64_t capacity = 4096, std::uint32_t max_readers = 8)
        : bus(capacity, max_readers), memory(bus.open()), writer(memory) {}
    std::unique_ptr<ring::Reader> reader(ring::Start start = {}) {
        return std::make_unique<ring::Reader>(memory, start, "test");
    }
    std::optional<base::Position> write(std::size_t size, blocking::WriteRequest request = {.may_wait = false}) {
        return fixtures::write(*memory, writer, make_message(next++, size), request);
    }
    TemporaryBus bus;
    std::shared_ptr<ring::Memory> memory;
    ring::Writer writer;
    std::uint64_t next = 1;
};

constexpr blocking::WriteRequest overwrite{.may_wait = false, .overwrite = true};
constexpr blocking::WriteRequest fail{.may_wait = false};

}  // namespace

TEST(what_goes_in_comes_out_for_a_thousand_sizes) {
    Ring ring;
    const auto reader = ring.reader();
    for (std::size_t i = 0; i < 5000; ++i) {
        const std::size_t size = 8 + i * 37 % 2040;  // half the ring always fits an empty one
        const auto position = ring.write(size);
        CHECK(position.has_value());
        std::vector<Received> received;
        CHECK(read(*reader, received) == ReadStatus::messages);
        CHECK_EQUAL(received.size(), 1u);
        CHECK_EQUAL(received[0].position, *position);
        CHECK_EQUAL(received[0].bytes.size(), size);
        CHECK_EQUAL(seed_of(received[0].bytes), i + 1);
        CHECK(is_whole(received[0].bytes));
        CHECK(read(*reader, received) == ReadStatus::empty);
    }
}

TEST(a_full_ring_has_no_room_until_the_reader_reads) {
    Ring ring;
    const auto reader = ring.reader();
    int written = 0;
    while (ring.write(100, fail)) ++written;
    CHECK_EQUAL(written, 4096 / 105);
    const auto slow = ring.writer.readers_in_the_way(100);
    CHECK_EQUAL(slow.size(), 1u);
    CHECK_EQUAL(slow[0].pid, getpid());
    CHECK(slow[0].label == "test" && slow[0].alive && slow[0].active && !slow[0].foreign);
    std::vector<Received> received;
    while (read(*reader, received) == ReadStatus::messages) {
    }
    CHECK_EQUAL(received.size(), static_cast<std::size_t>(written));
    CHECK(ring.write(100, fail).has_value());
}

TEST(an_overtaken_reader_is_told_how_many_bytes_and_messages_and_goes_on) {
    Ring ring;
    const auto reader = ring.reader();
    std::vector<Received> received;
    ring.write(50);
    CHECK(read(*reader, received) == ReadStatus::messages);
    const auto from = reader->position();
    for (int i = 0; i < 100; ++i) ring.write(8 + static_cast<std::size_t>(i) * 7, overwrite);
    CHECK(read(*reader, received) == ReadStatus::lost);
    const auto loss = *reader->resume(ReadStatus::lost);
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
    CHECK_EQUAL(reader->resume(ReadStatus::lost)->messages.value(), 11u);
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
    CHECK_EQUAL(reader->resume(ReadStatus::lost)->bytes, 105u);
    CHECK(ring.write(100).has_value());
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK_EQUAL(ring.memory->ring_extension()->claim_pos.load(), 105u + 4097u);  // never lowered
}

TEST(a_batch_is_one_publication_if_it_fits_and_several_if_not) {
    Ring ring;
    const auto reader = ring.reader();
    const Bytes body = make_message(1, 100);
    const ring::Part part{body.data(), body.size()};
    const std::vector<ring::Outgoing> many(60, {{&part, 1}, 100});
    CHECK(os::is_acquired(ring.writer.try_lock()));
    const auto first = ring.writer.publish(std::span(many).first(10), ring::RoomRule::respect);
    CHECK(first.status == ring::PublishStatus::complete);
    CHECK_EQUAL(first.count, 10u);
    CHECK_EQUAL(first.last, 9u * 105u);
    const auto second = ring.writer.publish(many, ring::RoomRule::respect);
    CHECK(second.status == ring::PublishStatus::no_room);
    CHECK_EQUAL(second.count, 29u);
    const auto third = ring.writer.publish(many, ring::RoomRule::overwrite);
    CHECK(third.status == ring::PublishStatus::partial);
    CHECK(third.count < 40u && third.count > 30u);
    ring.writer.unlock();
}

TEST(only_ring_slots_of_live_active_readers_hold_a_writer_back) {
    Ring ring(4096, 3);
    const auto reader = ring.reader();
    while (ring.write(100, fail)) {
    }
    auto& slot = ring.memory->slot(0);
    slot.is_active.store(0);
    CHECK(ring.write(100, fail).has_value());
    slot.is_active.store(1);
    slot.position.store(ring.memory->ring().free_pos.load() + 1'000'000);  // nonsense: ahead of the stream
    CHECK(ring.write(2000, fail).has_value());
    CHECK(ring.write(2000, fail).has_value());
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
    CHECK_EQUAL(reader->resume(ReadStatus::lost)->messages.value(), 109u);
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
    CHECK_EQUAL(from_oldest->resume(ReadStatus::lost)->messages.value(), 117u);
    CHECK_EQUAL(from_position->resume(ReadStatus::lost)->messages.value(), 112u);
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
    CHECK(!reader->resume(ReadStatus::lost)->messages.has_value());
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    CHECK_EQUAL(reader->resume(ReadStatus::lost)->messages.value(), 100u);  // counted anew from there
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

TEST(all_slots_taken_names_the_holders) {
    Ring ring(4096, 2);
    const auto first = ring.reader(), second = ring.reader();
    CHECK_THROWS(ring.reader(), base::ErrorCode::slots_exhausted);
    try {
        ring.reader();
    } catch (const base::Error& error) {
        CHECK(std::string(error.what()).find("pid " + std::to_string(getpid()) + " (test)") != std::string::npos);
    }
    CHECK_EQUAL(ring.memory->info().active_range.load(), 0u << 16 | 2u);
}

TEST(active_range_is_kept_right) {
    Ring ring(4096, 8);
    const auto range = [&] { return ring.memory->info().active_range.load(); };
    CHECK_EQUAL(range(), 0u);
    auto a = ring.reader(), b = ring.reader(), c = ring.reader();
    CHECK_EQUAL(range(), 0u << 16 | 3u);
    a.reset();
    CHECK_EQUAL(range(), 1u << 16 | 3u);
    c.reset();
    CHECK_EQUAL(range(), 1u << 16 | 2u);
    b.reset();
    CHECK_EQUAL(range(), 8u << 16 | 1u);  // as the older implementations leave it
    a = ring.reader();
    CHECK_EQUAL(range(), 0u << 16 | 1u);
}

TEST(a_foreign_reinitialisation_is_noticed_and_survived) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    // What a C++ process does: fresh base headers over a live bus.
    auto& header = ring.memory->ring();
    header.free_pos.store(0);
    os::initialize_robust_mutex(header.writer_mutex);
    for (std::uint32_t i = 0; i < 8; ++i) {
        os::initialize_robust_mutex(ring.memory->slot(i).mutex);
        ring.memory->slot(i).is_active.store(0);
    }
    ring.memory->info().active_range.store(0);
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::restarted);
    reader->resume(ReadStatus::restarted);
    CHECK(ring.write(100).has_value());
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK(ring.memory->ring_extension()->claim_pos.load() == 105u);
    while (ring.write(100, fail)) {
    }  // the new slot counts
    CHECK_EQUAL(ring.writer.readers_in_the_way(100).size(), 1u);
}

TEST(segments_without_extensions_work) {
    Ring ring;
    ring.bus.make_foreign("rb", 80 + 4096);
    ring.bus.make_foreign("ri", 32 + 8 * 56);
    ring.memory = ring.bus.open();
    ring.writer = ring::Writer(ring.memory);
    CHECK(ring.memory->is_foreign());
    CHECK_EQUAL(ring.writer.max_body(), 4096u - 6u);
    const auto reader = ring.reader();
    for (std::size_t i = 0; i < 2000; ++i) {
        CHECK(ring.write(8 + i * 37 % 2000).has_value());
        std::vector<Received> received;
        CHECK(read(*reader, received) == ReadStatus::messages);
        CHECK(is_whole(received[0].bytes));
    }
    while (ring.write(100, fail)) {
    }
    CHECK_EQUAL(ring.writer.readers_in_the_way(100).size(), 1u);
    CHECK(ring.writer.readers_in_the_way(100)[0].foreign);
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    CHECK(!reader->resume(ReadStatus::lost)->messages.has_value());
    CHECK(reader->wake_word() == nullptr);
}

TEST(a_foreign_reader_is_never_filled_up_to_its_position) {
    Ring ring(64, 2);
    const auto reader = ring.reader();
    ring.memory->entry(0)->keeper_tid.store(0);  // a slot in use without an entry is a foreign reader's
    CHECK(!ring.write(59, fail).has_value());    // 64 bytes: up to its position, which it takes for lost
    CHECK(ring.write(58, fail).has_value());
}
