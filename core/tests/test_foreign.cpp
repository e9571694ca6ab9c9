// Segments, readers and re-initialisations of C++ and Java processes.
#include <cstring>

#include "fixtures.hpp"
#include "toroni/ring/frame.hpp"

using namespace fixtures;
using ring::ReadStatus;

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
    CHECK_EQUAL(ring.writer.readers_in_the_way(one_of(100)).size(), 1u);
}

TEST(segments_without_extensions_work) {
    Ring ring;
    ring.bus.make_foreign("rb", 80 + 4096);
    ring.bus.make_foreign("ri", 32 + 8 * 56);
    ring.memory = ring.bus.open();
    ring.writer.~Writer();
    new (&ring.writer) ring::Writer(ring.memory);
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
    CHECK_EQUAL(ring.writer.readers_in_the_way(one_of(100)).size(), 1u);
    CHECK(ring.writer.readers_in_the_way(one_of(100))[0].foreign);
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    CHECK(!reader->resume(ReadStatus::lost).messages.has_value());
    CHECK(reader->wake_word() == nullptr);
}

TEST(a_foreign_reader_is_never_filled_up_to_its_position) {
    Ring ring(64, 2);
    const auto reader = ring.reader();
    ring.memory->entry(0)->keeper_tid.store(0);  // a slot in use without an entry is a foreign reader's
    CHECK(!ring.write(59, fail).has_value());    // 64 bytes: up to its position, which it takes for lost
    CHECK(ring.write(58, fail).has_value());
}

TEST(a_foreign_reader_that_comes_after_the_writer_has_looked_is_not_overtaken) {
    TemporaryBus bus(4096, 2);
    bus.options.notifier = base::NotifierAddress{.kind = base::NotifierKind::multicast, .group = 0x010101e0, .port = 1};
    const auto memory = bus.open();
    ring::Writer writer(memory);
    const Bytes body = make_message(1, 27);                 // frames of 32 bytes
    CHECK(write(*memory, writer, body, fail).has_value());  // it looks, and sees nobody
    const auto looked = memory->info_extension()->activation_seq.load();
    const ring::Reader reader(memory, {}, "");
    memory->entry(0)->keeper_tid.store(0);                   // a slot in use without an entry is a foreign reader's
    memory->info_extension()->activation_seq.store(looked);  // which they do not raise
    memory->slot(0).position.store(0);                       // it came between that look and the publication
    int count = 1;
    while (count < 1000 && write(*memory, writer, body, fail)) ++count;  // a wrong rule would go on for ever
    CHECK_EQUAL(count, 4096 / 32 - 1);
}

TEST(a_reader_that_a_foreign_one_left_out_of_the_active_range_comes_back) {
    Ring ring;
    const auto first = ring.reader(), second = ring.reader();
    ring.memory->info().active_range.store(0 << 16 | 1);  // from a look before the second came
    ring.write(100);
    std::vector<Received> received;
    CHECK(read(*second, received) == ReadStatus::messages);
    CHECK_EQUAL(ring.memory->info().active_range.load(), 2u);
    ring.memory->info().active_range.store(1 << 16 | 2);
    first->set_waiting();  // also before it sleeps
    CHECK_EQUAL(ring.memory->info().active_range.load(), 2u);
}

TEST(a_restart_by_foreign_writers_alone_is_told_once) {
    Ring ring;
    const auto reader = ring.reader();
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    std::vector<Received> received;
    reader->resume(ReadStatus::lost);
    // The stream is initialised anew, and nobody of ours writes: claim_pos stays where it was.
    ring.memory->ring().free_pos.store(0);
    CHECK(read(*reader, received) == ReadStatus::restarted);
    reader->resume(ReadStatus::restarted);
    CHECK(read(*reader, received) == ReadStatus::empty);
    const Bytes body = make_message(5, 50);  // a foreign writer's
    ring::write_header(ring.memory->data(), base::FrameType::message, body.size());
    std::memcpy(ring.memory->data() + 5, body.data(), body.size());
    ring.memory->ring().free_pos.store(55);
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK(received[0].bytes == body);
    ring.write(60);  // one of ours restarts the claim
    CHECK(read(*reader, received) == ReadStatus::messages);
    CHECK_EQUAL(ring.memory->ring_extension()->claim_pos.load(), ring.memory->ring().free_pos.load());
}

TEST(room_that_is_remembered_from_before_a_restart_in_the_first_lap_does_not_count) {
    TemporaryBus bus(4096, 8);
    bus.options.notifier = base::NotifierAddress{.kind = base::NotifierKind::multicast, .group = 0x010101e0, .port = 1};
    const auto memory = bus.open();
    ring::Writer writer(memory);
    const Bytes body = make_message(1, 27);  // frames of 32 bytes
    const auto post = [&] { return write(*memory, writer, body, fail).has_value(); };
    for (int i = 0; i < 60; ++i) CHECK(post());
    static_cast<void>(ring::Reader(memory, {}, "gone"));
    for (int i = 0; i < 30; ++i) CHECK(post());
    // Fresh headers, and a foreign reader at the beginning, who raises no activation_seq.
    memory->ring().free_pos.store(0);
    const auto looked = memory->info_extension()->activation_seq.load();
    const ring::Reader reader(memory, {}, "");
    memory->entry(0)->keeper_tid.store(0);
    memory->info_extension()->activation_seq.store(looked);
    int count = 0;
    while (count < 1000 && post()) ++count;
    CHECK_EQUAL(count, 4096 / 32 - 1);
}

TEST(a_slot_given_up_at_a_restart_is_left_clean) {
    Ring ring;
    const auto other = ring.reader();  // slot 0
    const auto reader = ring.reader();
    for (int i = 0; i < 100; ++i) ring.write(100, overwrite);
    reader->resume(ReadStatus::lost);
    ring.memory->ring().free_pos.store(0);
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::restarted);
    reader->resume(ReadStatus::restarted);
    int active = 0;
    for (std::uint32_t i = 0; i < 8; ++i) active += ring.memory->slot(i).is_active.load();
    CHECK_EQUAL(active, 2);
}

TEST(a_claim_that_was_stale_once_is_believed_when_its_time_comes) {
    Ring ring;
    const auto write_to = [&](base::Position end) {
        while (ring.memory->ring().free_pos.load() < end) CHECK(ring.write(1019, overwrite).has_value());  // 1024 bytes
    };
    write_to(102400);
    const auto reader = ring.reader();
    ring.memory->ring().free_pos.store(0);
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::restarted);
    reader->resume(ReadStatus::restarted);
    write_to(97280);
    reader->resume(ReadStatus::lost);
    CHECK_EQUAL(reader->position(), 97280u);
    write_to(101376);
    CHECK(reader->begin(1, 1 << 20) == ReadStatus::messages);
    // The next writer announces up to where the stale claim was, and overwrites the frame at 97280 - 0.
    ring.memory->ring_extension()->claim_pos.store(102400);
    CHECK(!reader->commit());
    CHECK(read(*reader, received) == ReadStatus::lost);
}
