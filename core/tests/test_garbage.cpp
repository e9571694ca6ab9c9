// Whatever bytes others leave behind: errors or loss, never a crash, a hang or a read out of bounds.
#include <cstring>
#include <random>

#include "fixtures.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

using namespace fixtures;
using ring::ReadStatus;

namespace {

#if defined(TORONI_THREAD_SANITIZER) || defined(__SANITIZE_ADDRESS__)
constexpr int rounds = 300;
#else
constexpr int rounds = 3000;
#endif

std::uint64_t interesting(std::mt19937_64& random, std::uint64_t near) {
    switch (random() % 6) {
        case 0: return random();
        case 1: return 0;
        case 2: return ~std::uint64_t{0} - random() % 100;
        case 3: return near + random() % 200 - 100;
        case 4: return near - random() % 5000;
        default: return near;
    }
}

void scribble(void* at, std::size_t size, std::mt19937_64& random) {
    auto* bytes = static_cast<unsigned char*>(at);
    const auto kind = random() % 3;
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = kind == 0 ? 0 : kind == 1 ? 0xff : static_cast<unsigned char>(random());
}

}  // namespace

TEST(a_reader_over_a_ring_of_garbage) {
    std::mt19937_64 random(1);
    for (int round = 0; round < rounds; ++round) {
        TemporaryBus bus(round % 2 == 0 ? 64 : 1024, 4);
        const auto memory = bus.open();
        ring::Writer writer(memory);
        ring::Reader reader(memory, {}, "r");
        for (int i = 0; i < 3; ++i)
            write(*memory, writer, make_message(1, 8 + random() % 20), {.may_wait = false, .overwrite = true});
        auto& extension = *memory->ring_extension();
        const auto end = memory->ring().free_pos.load();
        if (random() % 2 == 0) scribble(memory->data(), memory->capacity(), random);
        if (random() % 4 != 0) memory->ring().free_pos.store(interesting(random, end));
        if (random() % 4 != 0) extension.claim_pos.store(interesting(random, end));
        for (auto& landmark : extension.landmarks) landmark.store(interesting(random, end));
        for (auto& count : extension.counts) {
            count.begin.store(interesting(random, end));
            count.end.store(random() % 2 == 0 ? count.begin.load() : interesting(random, end));
        }
        for (int i = 0; i < 8; ++i) {
            std::vector<Received> received;
            const auto status = read(reader, received, 1 + random() % 10);
            for (const auto& message : received) CHECK(message.bytes.size() <= memory->capacity() - 5);
            if (status == ReadStatus::empty) break;
            if (status != ReadStatus::messages) reader.resume(status);
        }
        CHECK(ring::find_oldest(*memory) <= ~std::uint64_t{0});
        try {
            ring::Reader another(memory, {ring::StartKind::position, interesting(random, end)}, "p");
            std::vector<Received> received;
            read(another, received);
        } catch (const base::Error& error) {
            CHECK(error.code() == base::ErrorCode::invalid_argument);
        }
    }
}

TEST(a_writer_over_garbage_reader_info) {
    std::mt19937_64 random(2);
    for (int round = 0; round < rounds; ++round) {
        TemporaryBus bus(1024, 70);
        const auto memory = bus.open();
        ring::Writer writer(memory);
        for (std::uint32_t i = 0; i < 70; ++i) {
            scribble(&memory->slot(i), sizeof(base::ReaderSlot), random);
            if (random() % 2 == 0) memory->slot(i).position.store(interesting(random, 0));
            scribble(memory->entry(i), sizeof(base::SlotEntry), random);
        }
        auto& extension = *memory->info_extension();
        scribble(&memory->info(), sizeof(base::ReaderInfoHeader), random);
        scribble(&extension.waiting, sizeof extension.waiting, random);
        extension.activation_seq.store(random());
        for (int i = 0; i < 20; ++i) {
            const auto body = make_message(1, 8 + random() % 500);
            write(*memory, writer, body, {.may_wait = false});
            write(*memory, writer, body, {.overwrite = true, .timeout = os::Nanoseconds{1000}});
            for (const auto& reader : writer.readers_in_the_way(one_of(100)))
                CHECK(reader.label.size() <= base::label_size);
        }
        CHECK(ring::list_readers(*memory).size() <= 70);
        CHECK(!ring::describe(ring::list_readers(*memory)).empty() || ring::list_readers(*memory).empty());
    }
}

TEST(a_writer_over_garbage_of_other_writers) {  // who trust each other; but what is checked is cheap to check
    std::mt19937_64 random(3);
    for (int round = 0; round < rounds; ++round) {
        TemporaryBus bus(1024, 4);
        const auto memory = bus.open();
        ring::Writer writer(memory);
        ring::Reader reader(memory, {}, "r");
        auto& extension = *memory->ring_extension();
        memory->ring().free_pos.store(interesting(random, 0));
        extension.claim_pos.store(interesting(random, 0));
        scribble(&extension.counts, sizeof extension.counts, random);
        scribble(&extension.landmarks, sizeof extension.landmarks, random);
        scribble(memory->data(), memory->capacity(), random);
        for (int i = 0; i < 10; ++i) {
            write(*memory, writer, make_message(7, 8 + random() % 900), {.may_wait = false, .overwrite = true});
            std::vector<Received> received;
            const auto status = read(reader, received);
            if (status != ReadStatus::messages && status != ReadStatus::empty) reader.resume(status);
        }
        // The stream has healed: what is written now arrives.
        reader.resume(ReadStatus::damaged);
        CHECK(write(*memory, writer, make_message(8, 100), {.may_wait = false, .overwrite = true}));
        std::vector<Received> received;
        const auto status = read(reader, received);
        CHECK(status == ReadStatus::messages && is_whole(received[0].bytes));
    }
}

TEST(a_walk_is_bounded_whatever_the_positions_say) {
    // Zero-length padding everywhere, and positions whose differences overflow.
    const std::uint64_t far = std::uint64_t{1} << 63;
    for (const auto& [free_pos, claim] :
         {std::pair{far - 1, far + 10}, {far - 1, far - 1}, {far, far}, {far + 5, std::uint64_t{7}}}) {
        TemporaryBus bus(1024, 4);
        const auto memory = bus.open();
        ring::Reader reader(memory, {}, "r");
        for (std::uint64_t i = 0; i + 5 <= 1024; i += 5)
            ring::write_header(memory->data() + i, base::FrameType::padding, 0);
        memory->ring().free_pos.store(free_pos);
        memory->ring_extension()->claim_pos.store(claim);
        for (auto& landmark : memory->ring_extension()->landmarks) landmark.store(free_pos - 900);
        std::vector<Received> received;
        const auto status = read(reader, received);
        CHECK(status != ReadStatus::messages);
        if (status != ReadStatus::empty) reader.resume(status);
        read(reader, received);
        CHECK(received.empty());
        ring::find_oldest(*memory);  // ends
    }
}
