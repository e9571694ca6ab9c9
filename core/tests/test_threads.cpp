// Many writers and readers over one mapping, for ThreadSanitizer and for the machine's real reorderings.
// Sizes are always mixed: equal sizes hide torn reads.
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "fixtures.hpp"

using namespace fixtures;
using ring::ReadStatus;

namespace {

#if defined(TORONI_THREAD_SANITIZER) || defined(__SANITIZE_ADDRESS__)
constexpr int scale = 5;
#else
constexpr int scale = 10;
#endif

std::size_t mixed_size(std::mt19937& random, std::uint64_t capacity) {
    const auto kind = random() % 100;
    if (kind < 70) return 8 + random() % 60;
    if (kind < 95) return 8 + random() % (capacity / 8);
    return 8 + random() % (capacity * 6 / 10 - 8);
}

// The seed of a message names its writer and its number.
constexpr std::uint64_t seed(std::uint64_t writer, std::uint64_t number) { return writer << 32 | number; }

using Log = std::vector<std::pair<base::Position, std::uint64_t>>;

// Reads until every writer's last message has come, or was lost behind a known gap.
struct ReadingThread {
    Log log;
    std::uint64_t lost_messages = 0;
    int losses = 0;

    void run(ring::Reader& reader, blocking::Listener& listener, std::atomic<int>& writers_left) {
        while (true) {
            const bool last_look = writers_left.load() == 0;
            std::vector<Received> received;
            const auto status = read(reader, received, 1 + log.size() % 40);
            CHECK(status != ReadStatus::damaged && status != ReadStatus::restarted);
            if (status == ReadStatus::lost) {
                const auto loss = reader.resume(ReadStatus::lost);
                CHECK(loss.messages.has_value());
                lost_messages += *loss.messages;
                ++losses;
            }
            for (const auto& message : received) {
                CHECK(is_whole(message.bytes));
                CHECK(log.empty() || log.back().first < message.position);
                log.emplace_back(message.position, seed_of(message.bytes));
            }
            if (status == ReadStatus::empty) {
                if (last_look) return;
                NoSignals waiter;
                blocking::wait_for_news(reader, listener, blocking::Deadline(os::Nanoseconds{1'000'000}), waiter);
            }
        }
    }
};

struct Run {
    std::vector<ReadingThread> readers;
    std::uint64_t written = 0;
};

Run run(std::uint64_t capacity, int writers, int readers, int messages, blocking::WriteRequest request) {
    TemporaryBus bus(capacity, 8);
    const auto memory = bus.open();
    Run run;
    run.readers.resize(static_cast<std::size_t>(readers));
    blocking::Watchers watchers;
    std::vector<std::unique_ptr<ring::Reader>> open_readers;
    for (int r = 0; r < readers; ++r) {
        open_readers.push_back(std::make_unique<ring::Reader>(memory, ring::Start{}, "r"));
    }
    std::atomic<int> writers_left{writers};
    std::atomic<std::uint64_t> written{0};
    std::vector<std::thread> threads;
    for (int r = 0; r < readers; ++r) {
        threads.emplace_back([&, r] {
            const auto index = static_cast<std::size_t>(r);
            const auto listener = blocking::make_listener(memory, watchers);
            run.readers[index].run(*open_readers[index], *listener, writers_left);
        });
    }
    for (int w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            std::mt19937 random(static_cast<unsigned>(w));
            ring::Writer writer(memory);
            for (int i = 0; i < messages; ++i) {
                const auto number = seed(static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(i));
                const Bytes body = make_message(number, mixed_size(random, capacity));
                if (write(*memory, writer, body, request)) written.fetch_add(1);
            }
            writers_left.fetch_sub(1);
        });
    }
    for (auto& thread : threads) thread.join();
    run.written = written.load();
    return run;
}

void check_order_of_each_writer(const Log& log) {
    std::map<std::uint64_t, std::uint64_t> last;
    for (const auto& [position, seed] : log) {
        const auto [known, is_new] = last.emplace(seed >> 32, seed);
        CHECK(is_new || known->second < seed);
        known->second = seed;
    }
}

}  // namespace

TEST(writers_that_wait_lose_nothing_and_all_see_one_order) {
    for (const std::uint64_t capacity : {std::uint64_t{1024}, std::uint64_t{16384}}) {
        const int messages = 1000 * scale;
        const auto result = run(capacity, 3, 3, messages, {.timeout = std::nullopt});
        CHECK_EQUAL(result.written, static_cast<std::uint64_t>(3 * messages));
        for (const auto& reader : result.readers) {
            CHECK_EQUAL(reader.losses, 0);
            CHECK_EQUAL(reader.log.size(), result.written);
            CHECK(reader.log == result.readers[0].log);
            check_order_of_each_writer(reader.log);
        }
    }
}

TEST(writers_that_overtake_are_found_out_every_time) {
    int losses = 0;
    for (const std::uint64_t capacity : {std::uint64_t{512}, std::uint64_t{8192}}) {
        const auto result = run(capacity, 2, 2, 3000 * scale, {.may_wait = false, .overwrite = true});
        std::map<base::Position, std::uint64_t> seen;
        for (const auto& reader : result.readers) {
            CHECK_EQUAL(reader.log.size() + reader.lost_messages, result.written);  // to the message
            check_order_of_each_writer(reader.log);
            losses += reader.losses;
            for (const auto& [position, seed] : reader.log) {
                CHECK_EQUAL(seen.emplace(position, seed).first->second, seed);
            }
        }
    }
    CHECK(losses > 0);
}

TEST(writers_that_drop_or_fail_never_overtake) {
    const auto result = run(2048, 2, 2, 2000 * scale, {.may_wait = false});
    for (const auto& reader : result.readers) {
        CHECK_EQUAL(reader.losses, 0);
        CHECK_EQUAL(reader.log.size(), result.written);
    }
}

TEST(readers_come_and_go_while_writers_write) {
    TemporaryBus bus(4096, 4);
    const auto memory = bus.open();
    std::atomic<bool> stop{false};
    std::thread writing([&] {
        std::mt19937 random(1);
        ring::Writer writer(memory);
        for (std::uint64_t i = 0; !stop; ++i) {
            CHECK(write(*memory, writer, make_message(i, mixed_size(random, 4096)), {.timeout = std::nullopt}));
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100 * scale; ++i) {
                const auto kind = (i + t) % 2 == 0 ? ring::StartKind::now : ring::StartKind::oldest;
                ring::Reader reader(memory, {kind}, "comes and goes");
                std::vector<Received> received;
                for (int reads = 0; reads < 5; ++reads) {
                    const auto status = read(reader, received, 1 + static_cast<std::size_t>(reads) * 5);
                    // Writers that wait never overtake an open reader.
                    CHECK(status == ReadStatus::messages || status == ReadStatus::empty);
                }
                for (std::size_t k = 0; k < received.size(); ++k) {
                    CHECK(is_whole(received[k].bytes));
                    CHECK_EQUAL(seed_of(received[k].bytes), seed_of(received[0].bytes) + k);
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    stop = true;
    writing.join();
}

TEST(a_large_message_is_not_starved_by_small_ones) {
    TemporaryBus bus(4096, 4);
    const auto memory = bus.open();
    auto reader = std::make_unique<ring::Reader>(memory, ring::Start{}, "slow");
    std::atomic<bool> stop{false}, large_is_through{false};
    std::vector<std::thread> small;
    for (int t = 0; t < 2; ++t) {
        small.emplace_back([&] {
            ring::Writer writer(memory);
            for (std::uint64_t i = 1; !stop; ++i) {
                CHECK(write(*memory, writer, make_message(i, 20), {.timeout = std::nullopt}));
            }
        });
    }
    std::thread large([&] {
        ring::Writer writer(memory);
        for (int i = 0; i < 20; ++i) {
            CHECK(write(*memory, writer, make_message(0, 4000), {.timeout = std::nullopt}));
        }
        large_is_through = true;
    });
    int received_large = 0;
    while (!large_is_through || received_large < 20) {
        std::vector<Received> received;
        read(*reader, received, 8);
        for (const auto& message : received) received_large += seed_of(message.bytes) == 0 ? 1 : 0;
    }
    stop = true;
    reader.reset();  // whoever still waits for it goes on
    large.join();
    for (auto& thread : small) thread.join();
    CHECK_EQUAL(received_large, 20);
}
