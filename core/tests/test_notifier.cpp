// Every way of notification, run through the same tests; and the thread that watches for event loops.
#include <poll.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "fixtures.hpp"

using namespace fixtures;
using blocking::Clock;
using blocking::Deadline;

namespace {

constexpr os::Nanoseconds patience{30'000'000'000};

const std::vector<base::NotifierAddress> all_notifiers{
    {.kind = base::NotifierKind::futex, .group = 0, .interface = 0, .port = 0, .reserved = 0},
    {.kind = base::NotifierKind::poll, .group = 0, .interface = 0, .port = 0, .reserved = 0},
    {.kind = base::NotifierKind::multicast,
     .group = 0x010101e0,
     .interface = 0x0100007f,
     .port = 0x070d,
     .reserved = 0},
};

struct Notified {
    explicit Notified(const base::NotifierAddress& notifier) {
        bus.options.notifier = notifier;
        memory = bus.open();
    }
    void write(std::uint64_t seed) const {
        ring::Writer writer(memory);
        CHECK(fixtures::write(*memory, writer, make_message(seed, 8 + seed * 37 % 300)).has_value());
    }
    TemporaryBus bus;
    std::shared_ptr<ring::Memory> memory;
    blocking::Watchers watchers;
};

bool is_readable(int descriptor, int milliseconds) {
    pollfd entry{descriptor, POLLIN, 0};
    return poll(&entry, 1, milliseconds) == 1;
}

// As a read that goes on until there is nothing.
std::size_t take_all(ring::Reader& reader, blocking::Listener& listener) {
    listener.disarm(reader);
    std::vector<Received> received;
    do {
        while (read(reader, received) == ring::ReadStatus::messages) {
        }
    } while (!listener.arm(reader));
    for (const auto& message : received) CHECK(is_whole(message.bytes));
    return received.size();
}

std::size_t threads() {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

TEST(a_sleeping_reader_is_woken_each_time) {
    for (const auto& notifier : all_notifiers) {
        Notified there(notifier), back(notifier);
        ring::Reader question(there.memory, {}, "question"), answer(back.memory, {}, "answer");
        const auto hears_question = blocking::make_listener(there.memory, there.watchers);
        const auto hears_answer = blocking::make_listener(back.memory, back.watchers);
        constexpr std::uint64_t rounds = 300;
        std::thread other([&] {
            NoSignals waiter;
            std::vector<Received> received;
            for (std::uint64_t i = 0; i < rounds; ++i) {
                CHECK(blocking::wait_for_news(question, *hears_question, Deadline(patience), waiter));
                CHECK(read(question, received) == ring::ReadStatus::messages);
                back.write(i);
            }
        });
        NoSignals waiter;
        std::vector<Received> received;
        const auto begin = Clock::now();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            there.write(i);
            CHECK(blocking::wait_for_news(answer, *hears_answer, Deadline(patience), waiter));
            CHECK(read(answer, received) == ring::ReadStatus::messages);
        }
        other.join();
        CHECK(Clock::now() - begin < std::chrono::seconds{60});  // a lost wake-up costs a second
    }
}

TEST(who_was_woken_costs_no_system_call_until_it_sleeps_again) {
    Notified bus(all_notifiers[0]);
    ring::Reader reader(bus.memory, {}, "r"), other(bus.memory, {}, "o");
    const auto wake_ups = [&] { return bus.memory->ring().notification_count.load(); };
    for (std::uint64_t round = 1; round <= 3; ++round) {
        reader.set_waiting();
        for (std::uint64_t i = 0; i < 5; ++i) bus.write(i);
        CHECK_EQUAL(wake_ups(), 2 * round - 1);
        other.set_waiting();  // for it, and for nobody else
        for (std::uint64_t i = 0; i < 5; ++i) bus.write(i);
        CHECK_EQUAL(wake_ups(), 2 * round);
        other.clear_waiting();
        reader.clear_waiting();
    }
    // A writer that was killed in the middle has woken nobody for the others.
    reader.set_waiting();
    bus.memory->ring_extension()->wake_seq.fetch_add(1);
    bus.write(1);
    CHECK_EQUAL(wake_ups(), 7u);
    reader.clear_waiting();
}

// As of a writer that was stopped before it stored it, for half of all numbers; or of one that scribbles.
TEST(a_false_woken_seq_lets_nobody_sleep) {
    constexpr std::uint32_t half = std::uint32_t{1} << 31, last = ~std::uint32_t{0};
    Notified bus(all_notifiers[0]);
    ring::Reader reader(bus.memory, {}, "r");
    auto& extension = *bus.memory->ring_extension();
    std::vector<Received> received;
    std::uint64_t expected = 0;
    for (const std::uint32_t wake : {std::uint32_t{0}, std::uint32_t{100}, half + 10, last}) {
        for (const std::uint32_t woken : {std::uint32_t{5}, wake + 1, wake + half - 1, wake + half, wake - 1, last}) {
            extension.wake_seq.store(wake);
            extension.woken_seq.store(woken);
            reader.set_waiting();
            bus.write(woken);
            CHECK_EQUAL(bus.memory->ring().notification_count.load(), ++expected);
            bus.write(woken);  // and from then on it is right again, across the wrap
            CHECK_EQUAL(bus.memory->ring().notification_count.load(), expected);
            reader.clear_waiting();
            while (read(reader, received) == ring::ReadStatus::messages) {  // a full ring would make the writer wait
            }
        }
    }
}

TEST(the_descriptor_is_readable_exactly_when_there_is_news) {
    for (const auto& notifier : all_notifiers) {
        Notified bus(notifier);
        ring::Reader reader(bus.memory, {}, "r");
        const auto listener = blocking::make_listener(bus.memory, bus.watchers);
        const int descriptor = listener->descriptor();
        CHECK_EQUAL(descriptor, listener->descriptor());
        CHECK(is_readable(descriptor, 30'000));  // at first, so that nobody waits for what is there already
        for (std::uint64_t i = 0; i < 200; ++i) {
            CHECK_EQUAL(take_all(reader, *listener), 0u);
            if (notifier.kind != base::NotifierKind::poll) CHECK(!is_readable(descriptor, 0));
            if (i % 5 == 0) {  // disarmed by a read that somebody began before
                listener->disarm(reader);
                listener->settle();
            }
            for (std::uint64_t j = 0; j <= i % 3; ++j) bus.write(i);
            CHECK(is_readable(descriptor, 30'000));
            CHECK(is_readable(descriptor, 0));  // and stays so until somebody has looked
            CHECK_EQUAL(take_all(reader, *listener), i % 3 + 1);
        }
        listener->disarm(reader);
    }
}

TEST(many_readers_in_event_loops_share_one_thread_while_they_wait) {
    Notified bus(all_notifiers[0]);
    const std::size_t before = threads();
    std::vector<std::unique_ptr<ring::Reader>> readers;
    std::vector<std::unique_ptr<blocking::Listener>> listeners;
    for (int i = 0; i < 8; ++i) {
        readers.push_back(std::make_unique<ring::Reader>(bus.memory, ring::Start{}, "r"));
        listeners.push_back(blocking::make_listener(bus.memory, bus.watchers));
        static_cast<void>(listeners.back()->descriptor());
        CHECK_EQUAL(take_all(*readers.back(), *listeners.back()), 0u);
    }
    CHECK_EQUAL(threads(), before + 2);  // the keeper and the watcher
    std::atomic<bool> stop{false};
    std::thread writing([&] {
        for (std::uint64_t i = 1; !stop.load(); ++i) bus.write(i);
    });
    for (int round = 0; round < 300; ++round) {
        for (std::size_t i = 0; i < readers.size(); ++i) {
            CHECK(is_readable(listeners[i]->descriptor(), 30'000));
            take_all(*readers[i], *listeners[i]);
        }
    }
    stop.store(true);
    for (std::size_t i = 0; i < readers.size(); ++i) listeners[i]->disarm(*readers[i]);
    for (auto& reader : readers) reader.reset();  // or the writer waits for them
    writing.join();
    listeners.clear();
    CHECK_EQUAL(threads(), before);
}

TEST(a_thread_that_nobody_needs_ends_by_itself_and_comes_back) {
    Notified bus(all_notifiers[0]);
    ring::Reader reader(bus.memory, {}, "r");
    const std::size_t before = threads();
    const auto listener = blocking::make_listener(bus.memory, bus.watchers);
    const int descriptor = listener->descriptor();
    CHECK_EQUAL(threads(), before);
    for (std::uint64_t i = 0; i < 2; ++i) {
        take_all(reader, *listener);
        CHECK_EQUAL(threads(), before + 1);
        bus.write(i);
        CHECK(is_readable(descriptor, 30'000));
        listener->disarm(reader);
        while (threads() != before) std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
}

TEST(who_asks_for_another_notifier_is_told_both) {
    Notified bus(all_notifiers[2]);
    auto options = bus.bus.options;
    for (const auto& other : all_notifiers) {
        options.notifier = other;
        if (other == all_notifiers[2]) continue;
        CHECK_THROWS(ring::Memory::open(options), base::ErrorCode::incompatible);
    }
    options.notifier.reset();
    CHECK(ring::Memory::open(options)->notifier() == all_notifiers[2]);
}

TEST(patience_for_more_is_given_up_where_it_is_in_vain) {
    blocking::Spin spin;
    int looks = 0;
    const auto looks_at = [&](auto&& end) {
        looks = 0;
        spin.gather([&] { return ++looks, end(); });
        return looks;
    };
    const auto still = [] { return 7; };
    for (const int skipped : {0, 1, 3, 7}) {
        for (int i = 0; i < skipped; ++i) CHECK_EQUAL(looks_at(still), 0);
        CHECK_EQUAL(looks_at(still), 2);
    }
    for (int i = 0; i < 15; ++i) CHECK_EQUAL(looks_at(still), 0);
    int position = 0;
    CHECK_EQUAL(looks_at([&] { return std::min(++position, 4); }), 5);  // as long as it moves
    position = 0;
    CHECK_EQUAL(looks_at([&] { return ++position; }), 17);  // bounded; and not skipped now
}

TEST(a_reader_spins_only_after_a_short_wait) {
    blocking::Spin spin;
    CHECK(!spin.is_worth_it());  // who waits for the first message sleeps
    spin.learn(os::Nanoseconds{10'000});
    CHECK(spin.is_worth_it());
    int looks = 0;
    CHECK(spin.wait([&] { return ++looks == 15; }, os::Nanoseconds{0}));
    looks = 0;
    CHECK(!spin.wait([&] { return ++looks == 0; }, os::Nanoseconds{0}));  // no time: a few looks, and no more
    CHECK(looks >= 20 && looks <= 40);
    spin.learn(blocking::Spin::longest);
    CHECK(!spin.is_worth_it());
}

TEST(a_wait_on_a_fast_stream_needs_no_waking) {
    const Notified notified(all_notifiers[0]);
    ring::Reader reader(notified.memory, {}, "");
    blocking::Watchers watchers;
    const auto listener = blocking::make_listener(notified.memory, watchers);
    const auto wait = [&](std::optional<os::Nanoseconds> timeout) {
        NoSignals waiter;
        return blocking::wait_for_news(reader, *listener, Deadline(timeout), waiter);
    };
    notified.write(1);
    CHECK(wait(patience));  // it is there
    std::vector<Received> received;
    CHECK(read(reader, received) == ring::ReadStatus::messages);
    CHECK(!wait(os::Nanoseconds{2'000'000}));  // nothing comes: it sleeps, and says so
    CHECK(!listener->spin.is_worth_it());
    listener->spin.learn(os::Nanoseconds{0});
    CHECK(!wait(os::Nanoseconds{2'000'000}));  // it spins in vain, then sleeps, and has learnt
    CHECK(!listener->spin.is_worth_it());
}

TEST(signals_are_looked_at_between_a_spin_in_vain_and_the_sleep) {
    struct Counting : NoSignals {
        int looks = 0;
        void after_wait(bool maybe_signal) { looks += maybe_signal; }
    };
    const Notified notified(all_notifiers[0]);
    ring::Reader reader(notified.memory, {}, "");
    blocking::Watchers watchers;
    const auto listener = blocking::make_listener(notified.memory, watchers);
    for (const bool spins : {false, true}) {
        listener->spin.learn(os::Nanoseconds{spins ? 0 : 1'000'000});
        Counting waiter;
        CHECK(!blocking::wait_for_news(reader, *listener, Deadline(os::Nanoseconds{2'000'000}), waiter));
        CHECK_EQUAL(waiter.looks, spins ? 2 : 1);  // the sleep that timed out is the other
    }
}
