#include "operation.hpp"

#include <cstdlib>
#include <memory>
#include <optional>

#include "blocking.hpp"
#include "markers.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/room.hpp"
#include "toroni/ring/writer.hpp"

asm(".text\n"
    ".globl kill_sweep_begin\nkill_sweep_begin: int3\n ret\n"
    ".globl kill_sweep_end\nkill_sweep_end: int3\n ret\n");

namespace lab {

namespace {

using ring::Options;

// ---- writing ----------------------------------------------------------------------------------------------

struct NoWaiting {
    void before_wait() {}
    void after_wait(bool) {}
    blocking::Answer ask(const ring::Batch&) { return blocking::Answer::drop; }
};

// A process that writes: messages of two parts, as a topic and its payload.
class WritingProcess {
public:
    WritingProcess(const Options& options, const std::vector<std::size_t>& sizes)
        : memory(ring::Memory::open(options)),
          writer_(memory),
          notifier_(blocking::make_notifier(memory->notifier())),
          parts_(2 * sizes.size()) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            const Bytes& body = bodies_.emplace_back(contents(first_seed_of_victim + i, sizes[i]));
            parts_[2 * i] = {body.data(), 7, false};
            parts_[2 * i + 1] = {body.data() + 7, static_cast<std::uint32_t>(body.size() - 7), true};
        }
    }
    template <class Waiter>
    void write(const blocking::WriteRequest& request, Waiter waiter) {
        blocking::WriteResult result;
        blocking::write(*memory, writer_, *notifier_, ring::Batch(parts_), request, waiter, result);
    }

    std::shared_ptr<ring::Memory> memory;

private:
    ring::Writer writer_;
    std::unique_ptr<blocking::Notifier> notifier_;
    std::vector<Bytes> bodies_;
    std::vector<ring::Part> parts_;
};

const std::vector<std::size_t> one{150}, many{8, 200, 33, 90, 57}, large{2200}, several{200, 300, 50};

template <const std::vector<std::size_t>& sizes, bool overwrite = false>
void post(const Options& options) {
    WritingProcess process(options, sizes);
    kill_sweep_begin();
    process.write({.may_wait = false, .overwrite = overwrite}, NoWaiting{});
    kill_sweep_end();
}

void read_all(ring::Reader& reader) {
    std::byte copy[capacity];
    while (reader.begin(4, capacity) == ring::ReadStatus::messages) {
        for (const auto& frame : reader.frames()) reader.copy(frame, copy);
        if (!reader.commit()) return;
    }
}

// The slow reader is the victim's own: it makes room when the writer is about to sleep, so that nothing depends on
// time.
struct ReadsBeforeSleeping {
    ring::Reader& reader;
    int waits = 0;
    void before_wait() {
        constexpr int of_sleeping = 2;  // the first is for the turn
        if (++waits == of_sleeping) read_all(reader);
    }
    void after_wait(bool) {}
    blocking::Answer ask(const ring::Batch&) { return blocking::Answer::drop; }
};

void wait_for_room(const Options& options) {
    WritingProcess process(options, one);
    ring::Reader reader(process.memory, {ring::StartKind::oldest}, "victim");
    kill_sweep_begin();
    process.write({}, ReadsBeforeSleeping{reader});
    kill_sweep_end();
}

// Another writer has both.
void wait_in_vain(const Options& options) {
    const auto memory = ring::Memory::open(options);
    ring::Writer writer(memory);
    ring::Room room(*memory);
    constexpr os::Nanoseconds a_moment{100'000};
    kill_sweep_begin();
    if (os::is_acquired(writer.try_lock_for(a_moment)) || room.enter(a_moment)) std::abort();
    kill_sweep_end();
}

// ---- reading ----------------------------------------------------------------------------------------------

template <ring::StartKind kind>
void become_reader(const Options& options) {
    auto memory = ring::Memory::open(options);
    std::unique_ptr<ring::Reader> reader;
    kill_sweep_begin();
    reader = std::make_unique<ring::Reader>(memory, ring::Start{kind}, "victim");
    memory->new_generation();  // it subscribes
    kill_sweep_end();
}

void read(const Options& options) {
    ring::Reader reader(ring::Memory::open(options), {ring::StartKind::oldest}, "victim");
    kill_sweep_begin();
    read_all(reader);
    kill_sweep_end();
}

void read_after_loss(const Options& options) {
    ring::Reader reader(ring::Memory::open(options), {ring::StartKind::position, 0}, "victim");
    kill_sweep_begin();
    const auto status = reader.begin(4, capacity);
    if (status == ring::ReadStatus::lost) reader.resume(status);
    kill_sweep_end();
}

void sleep_and_wake(const Options& options) {
    ring::Reader reader(ring::Memory::open(options), {}, "victim");
    kill_sweep_begin();
    {
        blocking::WaitingBit bit(reader);
        if (!reader.has_news()) os::futex_wait(*reader.wake_word(), bit.sequence(), os::Nanoseconds{1000});
    }
    kill_sweep_end();
}

void close(const Options& options) {
    auto process = std::make_optional<WritingProcess>(options, one);
    process->write({.may_wait = false}, NoWaiting{});
    auto reader = std::make_unique<ring::Reader>(process->memory, ring::Start{ring::StartKind::oldest}, "victim");
    kill_sweep_begin();
    reader.reset();
    process.reset();
    kill_sweep_end();
}

// ---- making, opening, removing ----------------------------------------------------------------------------

// As a user does: what says "not ready" is tried again.
template <ring::Role role>
void open(const Options& options) {
    Options asked = options;
    asked.role = role;
    std::shared_ptr<ring::Memory> memory;
    kill_sweep_begin();
    while (memory == nullptr) {
        try {
            memory = ring::Memory::open(asked);
        } catch (const base::Error& error) {
            if (error.code() != base::ErrorCode::not_ready) throw;
        }
    }
    kill_sweep_end();
}

void remove(const Options& options) {
    kill_sweep_begin();
    ring::Memory::remove(options.name, options.directory);
    kill_sweep_end();
}

constexpr Before no_bus{.exists = false};
constexpr Before half_a_bus{.exists = false, .leftover = Leftover::lone_reader_info};
constexpr Before stale_bus{.exists = false, .leftover = Leftover::stale_ring};
constexpr Before while_writing{.writer_waits = true, .writer_writes = true};
constexpr Before after_death{.leftover = Leftover::dead_reader};
constexpr Before after_laps{.fill_to = 3 * capacity + 1200};

}  // namespace

std::span<const Operation> operations() {
    using enum ring::StartKind;
    constexpr auto keeper = SteppedThread::keeper;
    static const std::vector<Operation> all{
        {"post", {}, {.reader_sleeps = true}, one, {1}, false, post<one>},
        {"post_many", {}, after_laps, many, {5}, false, post<many>},
        {"post behind padding", {}, {.fill_to = 3 * capacity - 60}, one, {1}, false, post<one>},
        {"post behind a blank tail", {}, {.fill_to = 2 * capacity - 3}, one, {1}, false, post<one>},
        {"post_many around the end", {}, {.fill_to = 2 * capacity - 400}, many, {5}, false, post<many>},
        {"post more than half a ring",
         {},
         {.fill_to = capacity + 2096, .has_reader = false},
         large,
         {1},
         false,
         post<large>},
        {"post over a slow reader", {}, {.fill_to = 7000, .unread = 3800}, several, {3}, true, post<several, true>},
        {"post after a dead writer", {}, {.leftover = Leftover::dead_writer}, many, {5}, false, post<many>},
        {"wait for room, read, post", {}, {.fill_to = 4050, .unread = 0}, one, {1}, false, wait_for_room},
        {"wait for mutex and turn", {}, while_writing, {}, {}, false, wait_in_vain},
        {"become a reader", {}, {}, {}, {}, false, become_reader<now>},
        {"become a reader: keeper", keeper, {}, {}, {}, false, become_reader<now>},
        {"become a reader of history", {}, after_laps, {}, {}, false, become_reader<oldest>},
        {"take a dead reader's slot", {}, after_death, {}, {}, false, become_reader<now>},
        {"take a dead reader's slot: keeper", keeper, after_death, {}, {}, false, become_reader<now>},
        {"read", {}, after_laps, {}, {}, false, read},
        {"read while a writer waits", {}, {.fill_to = 4000, .writer_waits = true}, {}, {}, false, read},
        {"read after a loss", {}, after_laps, {}, {}, false, read_after_loss},
        {"sleep and wake", {}, {}, {}, {}, false, sleep_and_wake},
        {"close", {}, {}, one, {1}, false, close},
        {"close: keeper", keeper, {}, one, {1}, false, close},
        {"make the bus", {}, no_bus, {}, {}, false, open<ring::Role::both>},
        {"make the bus to read only", {}, no_bus, {}, {}, false, open<ring::Role::reader>},
        {"make the bus to write only", {}, no_bus, {}, {}, false, open<ring::Role::writer>},
        {"make it of half a bus", {}, half_a_bus, {}, {}, false, open<ring::Role::both>},
        {"make it of a stale ring", {}, stale_bus, {}, {}, false, open<ring::Role::both>},
        {"open the bus", {}, {}, {}, {}, false, open<ring::Role::both>},
        {"remove the bus", {}, {}, {}, {}, false, remove},
    };
    return all;
}

}  // namespace lab
