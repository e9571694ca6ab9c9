// What fuzzing and hostile processes found, each as it was found first: make fuzz, make hostile.
#include <sched.h>
#include <sys/stat.h>

#include <chrono>
#include <ctime>
#include <limits>
#include <thread>

#include "fixtures.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

using namespace fixtures;
using ring::ReadStatus;

namespace {

std::int64_t allocated(const std::string& path) {
    struct stat status{};
    CHECK(::stat(path.c_str(), &status) == 0);
    return status.st_blocks;
}

std::uint64_t processor_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

TEST(a_hole_behind_what_the_header_tells_of_is_refused_and_not_filled) {
    for (const std::string suffix : {"rb", "ri"}) {
        for (const bool is_foreign : {false, true}) {
            TemporaryBus bus(4096, 4);
            bus.open();
            if (is_foreign) {
                bus.make_foreign("rb", sizeof(base::RingHeader) + 4096);
                bus.make_foreign("ri", sizeof(base::ReaderInfoHeader) + 4 * sizeof(base::ReaderSlot));
            }
            std::filesystem::resize_file(bus.path(suffix), std::uint64_t{16} << 20);
            const auto before = allocated(bus.path(suffix));
            for (const auto role : {ring::Role::both, ring::Role::reader, ring::Role::writer, ring::Role::observer}) {
                bus.options.role = role;
                CHECK_THROWS(bus.open(), base::ErrorCode::damaged);
            }
            CHECK_EQUAL(allocated(bus.path(suffix)), before);
        }
    }
}

TEST(a_claim_half_of_all_positions_away_is_healed) {
    const std::uint64_t far = std::uint64_t{1} << 63;
    for (const std::uint64_t away :
         {far - 1, far, far + 1, far + 50, far + 4096, 2 * (far / 3), std::uint64_t{0} - 1}) {
        Ring ring;
        ring.write(100);
        const auto reader = ring.reader();
        const auto& header = ring.memory->ring();
        auto& claim = ring.memory->ring_extension()->claim_pos;
        claim.store(header.free_pos.load() + away);
        CHECK(ring.write(100).has_value());
        const auto ahead = base::distance(header.free_pos.load(), claim.load());
        CHECK(ahead >= 0 && ahead <= 4096);
        std::vector<Received> received;
        CHECK(read(*reader, received) == ReadStatus::messages);
        CHECK(is_whole(received.at(0).bytes));
    }
}

TEST(a_claim_half_of_all_positions_away_lets_no_reader_be_overtaken) {
    Ring ring;
    const auto reader = ring.reader();
    while (ring.write(100)) {
    }
    ring.memory->ring_extension()->claim_pos.store(ring.memory->ring().free_pos.load() + (std::uint64_t{1} << 63));
    CHECK(!ring.write(1000).has_value());
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::messages);
}

// Nothing else could show that it is bounded. Between two looks all the others run: what was 2000 looks took half a
// minute then.
TEST(a_start_in_the_past_waits_for_a_stopped_writer_for_a_moment_only) {
    Ring ring;
    ring.write(100);
    std::atomic<bool> stop{false};
    std::vector<std::thread> busy;
    for (unsigned i = 0; i < 4 * std::thread::hardware_concurrency(); ++i) {
        busy.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
            }
        });
    }
    CHECK(os::is_acquired(ring.writer.try_lock()));
    const auto began = std::chrono::steady_clock::now();
    const auto reader = ring.reader({ring::StartKind::position, 0});
    const auto took = std::chrono::steady_clock::now() - began;
    ring.writer.unlock();
    stop.store(true);
    for (auto& thread : busy) thread.join();
    CHECK(took < std::chrono::seconds{10});
    std::vector<Received> received;
    CHECK(read(*reader, received) == ReadStatus::messages);
}

TEST(counting_spends_a_budget) {
    Ring ring;
    for (int i = 0; i < 20; ++i) ring.write(10);
    const auto end = ring.memory->ring().free_pos.load();
    std::uint64_t budget = 19;
    CHECK(!ring::tally::continued(*ring.memory, {}, end, budget));
    CHECK_EQUAL(budget, 0u);
    budget = 20;
    CHECK_EQUAL(ring::tally::continued(*ring.memory, {}, end, budget)->messages, 20u);
    CHECK_EQUAL(budget, 0u);
}

// In terms of one walk around the same ring, in the processor time of this thread: it was a hundred of them.
TEST(a_loss_over_garbage_is_not_counted_again_and_again) {
    constexpr std::uint64_t capacity = 1 << 22;
    Ring ring(capacity);
    const auto reader = ring.reader();
    std::byte* const data = ring.memory->data();
    for (std::uint64_t i = 0; i + 5 <= capacity; i += 5) ring::write_header(data + i, base::FrameType::padding, 0);
    ring::write_header(data + (capacity - 9), static_cast<base::FrameType>(7), 0);  // the last one: damage
    ring.memory->ring().free_pos.store(capacity);
    ring.memory->ring_extension()->claim_pos.store(capacity);
    for (auto& record : ring.memory->ring_extension()->counts) ring::tally::store(record, {});
    const auto began = processor_time();
    std::uint64_t budget = capacity;
    CHECK(!ring::leads_to_end(*ring.memory, 0, budget));
    const auto walked = processor_time();
    CHECK(budget < capacity - capacity / 6);  // all around
    CHECK(!reader->resume(ReadStatus::damaged).messages.has_value());
    CHECK((processor_time() - walked) / 30 < walked - began);
}

TEST(a_process_id_that_names_everybody_is_not_handed_out) {
    Ring ring;
    const auto reader = ring.reader();
    for (const std::uint32_t pid : {0xffffffffu, 0x80000000u, std::numeric_limits<std::uint32_t>::max() - 41}) {
        ring.memory->entry(0)->pid.store(pid);
        CHECK_EQUAL(ring::list_readers(*ring.memory).at(0).pid, 0);
    }
}
