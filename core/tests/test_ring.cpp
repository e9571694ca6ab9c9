// Writer and reader in one thread: order, room, batches, slots.
#include "fixtures.hpp"

using namespace fixtures;
using ring::ReadStatus;

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
    const auto slow = ring.writer.readers_in_the_way(one_of(100));
    CHECK_EQUAL(slow.size(), 1u);
    CHECK_EQUAL(slow[0].pid, getpid());
    CHECK(slow[0].label == "test" && slow[0].alive && slow[0].active && !slow[0].foreign);
    std::vector<Received> received;
    while (read(*reader, received) == ReadStatus::messages) {
    }
    CHECK_EQUAL(received.size(), static_cast<std::size_t>(written));
    CHECK(ring.write(100, fail).has_value());
}

TEST(a_batch_is_one_publication_if_it_fits_and_several_if_not) {
    Ring ring;
    const auto reader = ring.reader();
    const Bytes body = make_message(1, 100);
    const ring::Part part{body.data(), static_cast<std::uint32_t>(body.size())};
    const std::vector<ring::Part> parts(60, part);
    const ring::Batch many(parts);
    CHECK(os::is_acquired(ring.writer.try_lock()));
    const auto first = ring.writer.publish(ring::Batch({parts.data(), 10}), ring::RoomRule::respect);
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

TEST(a_reader_that_read_something_has_made_room_for_it) {
    Ring ring;
    const auto reader = ring.reader();
    while (ring.write(100, fail)) {
    }
    std::vector<Received> received;
    CHECK(read(*reader, received, 4) == ReadStatus::messages);
    CHECK(ring.write(100, fail).has_value());  // in the same thread: nobody else would publish the position
}

TEST(a_timeout_overtakes_once_and_then_waits_again) {
    Ring ring;
    const auto stuck = ring.reader(), healthy = ring.reader();
    while (ring.write(100, fail)) {
    }
    std::vector<Received> received;
    while (read(*healthy, received) == ReadStatus::messages) {
    }
    // The stuck one is overtaken, and from then on only the healthy one is in the way: it gets a timeout too.
    const Bytes body = make_message(1, 100);
    const ring::Part part{body.data(), static_cast<std::uint32_t>(body.size())};
    const std::vector<ring::Part> parts(60, part);
    const ring::Batch many(parts);
    const auto begin = blocking::Clock::now();
    write_as(*ring.memory, ring.writer, many, {.overwrite = true, .timeout = os::Nanoseconds{100'000'000}});
    CHECK(blocking::Clock::now() - begin >= std::chrono::milliseconds{200});
}

TEST(a_writer_looks_again_at_a_reader_that_seemed_overtaken) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 10; ++i) ring.write(100);
    std::vector<Received> received;
    CHECK(read(*reader, received, 4) == ReadStatus::messages);  // stands at 420; its copy is older
    auto& slot = ring.memory->slot(0);
    slot.position.store(0);
    while (ring.memory->ring().free_pos.load() < 4200)
        ring.write(100, overwrite);  // overtakes the copy, not the reader
    CHECK(ring.write(8, fail).has_value());
    slot.position.store(420);  // published late, and without an activation
    CHECK(!ring.write(1000, fail).has_value());
    CHECK(read(*reader, received) == ReadStatus::messages);
}
