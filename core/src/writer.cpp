#include "toroni/ring/writer.hpp"

#include "toroni/base/fence.hpp"
#include "toroni/base/prefetch.hpp"
#include "toroni/base/racing_copy.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

namespace toroni::ring {

using base::Position;

struct Writer::Plan {
    std::size_t count = 0;  // messages that fit
    Position end = 0;
    bool in_a_row = false;  // they go behind each other, nothing between them
    bool no_room = false;
    bool overtakes = false;  // a live reader loses something
};

namespace {

constexpr std::uint64_t furthest_ahead = 64 * 1024;

// Of a message from `first` to before `end`, whose first large part is aligned.
[[gnu::noinline]] Placement place_large(const Part* first, const Part* end, Position at, std::uint64_t length,
                                        std::uint64_t capacity) noexcept {
    std::uint64_t lead = 0;
    for (; first != end; lead += first++->size) {
        if (first->size >= least_aligned) return place_aligned(at, length, capacity, lead);
    }
    return place(at, length, capacity);
}

// Where the message at `part` goes; then on to the next one.
[[gnu::always_inline]] inline Placement place_next(const Part*& part, Position at, std::uint64_t capacity) noexcept {
    const Part* const first = part;
    const std::uint64_t length = Batch::pass(part);
    return length < least_aligned ? place(at, length, capacity) : place_large(first, part, at, length, capacity);
}

}  // namespace

// A C++ or Java process may have written fresh base headers: the stream began anew, far behind the claim.
void Writer::heal(Position free_pos) noexcept {
    if (base::distance(seen_end_, free_pos) < 0) slowest_.forget();
    seen_end_ = free_pos;
    auto* extension = memory_->ring_extension();
    if (extension == nullptr) return;
    const Position claimed = extension->claim_pos.load(std::memory_order_relaxed);
    if (!base::is_lost(free_pos, claimed, memory_->capacity())) return;
    extension->claim_pos.store(free_pos, std::memory_order_release);
}

// Mostly all of them go behind each other, before the ring's end and five bytes more, where there is room.
Writer::Plan Writer::plan(const Batch& messages, RoomRule rule, Position free_pos) noexcept {
    const std::uint64_t size = messages.bytes() + messages.size() * base::frame_header_size;
    const bool in_a_row = messages.largest_part() < least_aligned &&
                          size + base::frame_header_size < bytes_to_ring_end(free_pos, memory_->capacity());
    if (!in_a_row || !slowest_.has_room(*memory_, free_pos, free_pos + size)) [[unlikely]]
        return plan_each(messages, rule, free_pos);
    return {.count = messages.size(), .end = free_pos + size, .in_a_row = true};
}

Writer::Plan Writer::plan_each(const Batch& messages, RoomRule rule, Position free_pos) noexcept {
    Plan plan{.end = free_pos};
    const auto fits = [&](Position end) {
        if (plan.overtakes || slowest_.has_room(*memory_, free_pos, end)) return true;
        if (rule == RoomRule::overwrite) plan.overtakes = true;
        else plan.no_room = true;
        return rule == RoomRule::overwrite;
    };
    const Part* part = messages.parts();
    while (plan.count < messages.size()) {
        const Placement placement = place_next(part, plan.end, memory_->capacity());
        const bool spans_too_much = placement.frame != free_pos && this->spans_too_much(free_pos, placement.end);
        if (spans_too_much && plan.count == 0) {
            // Padding first, so that readers can pass it.
            if (fits(placement.frame)) plan.end = placement.frame;
            return plan;
        }
        if (spans_too_much || !fits(placement.end)) return plan;
        plan.end = placement.end;
        ++plan.count;
    }
    return plan;
}

// For one publication. One of exactly the capacity would never find room with a foreign reader there: a look at
// the slots tells.
bool Writer::spans_too_much(Position free_pos, Position end) noexcept {
    const std::uint64_t span = end - free_pos;
    if (span != memory_->capacity()) return span > memory_->capacity();
    static_cast<void>(slowest_.has_room(*memory_, free_pos, end));
    return slowest_.expects_foreign(*memory_);
}

// Small publications claim some way ahead, if that is known to be in no live reader's way: then the next ones find it
// done, and need no fence. All that it costs is as much of the history.
void Writer::claim(Position free_pos, Position end) noexcept {
    if (auto* extension = memory_->ring_extension()) {
        const Position claimed = extension->claim_pos.load(std::memory_order_relaxed);
        // Whoever raised it did so before we took the lock, and publish()'s fence behind that orders it before our
        // bytes: also where it was killed before its own.
        // (Measured from free_pos, which heal() has left no more than a capacity behind: a claim of anywhere else
        // lies behind, however far.)
        if (base::distance(free_pos, claimed) >= base::distance(free_pos, end)) return;
        const std::uint64_t lead = std::min(memory_->capacity() / base::landmark_count, furthest_ahead);
        const bool may_lead = end - free_pos < lead && end + lead - free_pos <= memory_->capacity() &&
                              slowest_.seems_to_have_room(*memory_, end + lead);
        extension->claim_pos.store(may_lead ? end + lead : end, std::memory_order_relaxed);
    }
    // No byte may become visible before the claim. A release fence is not enough: large copies use
    // non-temporal stores, which pass it. Pairs with the claim test in Reader, behind its acquire fence.
    base::fence::seq_cst();
}

namespace {

void write_skip(std::byte* at, std::uint64_t skip) noexcept {
    if (skip < base::frame_header_size) return;  // a blank tail has no header
    write_header(at, base::FrameType::padding, skip - base::frame_header_size);
}

// Goes behind the message; the end of its body.
std::byte* write_body(std::byte* to, const Part*& part) noexcept {
    while (true) {
        base::copy_to_ring(to, part->data, part->size);
        to += part->size;
        if (part++->ends_message) return to;
    }
}

}  // namespace

// The position of the last frame.
Position Writer::write_frames(const Batch& messages, const Plan& plan, Position at, Landmarks& landmarks) noexcept {
    std::byte* const data = memory_->data();
    const std::uint64_t capacity = memory_->capacity();
    Position last = at;
    const Part* next = messages.parts();
    for (std::size_t i = 0; i < plan.count; ++i) {
        if (!plan.in_a_row) {
            const Part* part = next;
            const Placement placement = place_next(part, at, capacity);
            if (placement.skip != 0) write_skip(data + (at & (capacity - 1)), placement.skip);
            if (placement.gap != 0) write_skip(data + ((at + placement.skip) & (capacity - 1)), placement.gap);
            at = placement.frame;
        }
        std::byte* const frame = data + (at & (capacity - 1));
        std::byte* const body = frame + base::frame_header_size;
        const std::byte* const end = write_body(body, next);
        write_header(frame, base::FrameType::message, static_cast<std::uint64_t>(end - body));
        landmarks.pass(last = at);
        at += static_cast<std::uint64_t>(end - frame);
    }
    return last;
}

Published Writer::publish(const Batch& messages, RoomRule rule) noexcept {
    base::fence::seq_cst_with_mutex();  // behind the lock: pairs with Slot::activate's
    base::RingHeader& header = memory_->ring();
    auto* extension = memory_->ring_extension();
    const Position free_pos = header.free_pos.load(std::memory_order_relaxed);  // written under our lock only
    heal(free_pos);

    slowest_.begin();
    const Plan plan = this->plan(messages, rule, free_pos);
    Published published{.count = plan.count, .last = free_pos, .anything = plan.end != free_pos};
    if (plan.count < messages.size()) published.status = plan.no_room ? PublishStatus::no_room : PublishStatus::partial;
    if (plan.no_room) published.room_end = slowest_.room_end();
    if (!published.anything) return published;

    tally::Total total{};
    if (extension != nullptr) total = tally::reconcile(*memory_, free_pos);  // before its frames are overwritten
    claim(free_pos, plan.end);
    Landmarks landmarks(memory_->capacity(), free_pos);
    if (plan.count != 0) published.last = write_frames(messages, plan, free_pos, landmarks);
    else write_skip(memory_->data() + (free_pos & (memory_->capacity() - 1)), plan.end - free_pos);
    header.free_pos.store(plan.end, std::memory_order_release);                         // pairs with Reader::begin
    base::prefetch_to_write(memory_->data() + (plan.end & (memory_->capacity() - 1)));  // for the next one

    if (extension != nullptr) {
        landmarks.store(*extension);
        const std::uint64_t bytes =
            plan.count == messages.size() ? messages.bytes() : messages.bytes() - messages.from(plan.count).bytes();
        tally::publish(*extension, total, plan.end, plan.count, bytes);
        if (plan.overtakes) extension->overwritten.fetch_add(1, std::memory_order_relaxed);
    }
    return published;
}

// A reader that sleeps by futex, and has been woken already but did not run since: each system call more would be in
// vain, and there would be one a message. Behind the fence of somebody_waits: either we see what the reader noted last,
// or it sees free_pos.
bool Writer::is_woken(std::uint32_t reader) const noexcept {
    if (memory_->notifier().kind != base::NotifierKind::futex) return false;
    const base::RingExtension& ring = *memory_->ring_extension();
    const std::uint32_t woken = ring.woken_seq.load(std::memory_order_acquire);  // pairs with wake_by_futex
    const std::uint32_t slept = memory_->entry(reader)->sleep_seq.load(std::memory_order_relaxed);
    // Believed only between the two: a writer that was stopped before it stored woken_seq may do so half of all numbers
    // later. Then it would seem ahead of everybody, nobody would be woken, and so nobody would store another.
    const std::uint32_t raised = ring.wake_seq.load(std::memory_order_relaxed) - slept;
    return static_cast<std::int32_t>(raised) > 0 && woken - slept - 1 < raised;
}

bool Writer::somebody_waits() const noexcept {
    const auto* info = memory_->info_extension();
    if (info == nullptr || memory_->ring_extension() == nullptr) return true;
    // Behind unlock(): pairs with Slot::set_waiting. Either we see the bit or the reader sees free_pos.
    base::fence::seq_cst_with_mutex();
    for (std::uint32_t first = 0; first < memory_->max_readers(); first += 64) {
        std::uint64_t bits = info->waiting[first / 64].load(std::memory_order_relaxed);
        for (; bits != 0; bits &= bits - 1) {
            const auto index = first + static_cast<std::uint32_t>(__builtin_ctzll(bits));
            // The dead keep their bit.
            if (index < memory_->max_readers() && is_alive(*memory_, index) && !is_woken(index)) return true;
        }
    }
    return memory_->expects_foreign() && has_foreign_reader(*memory_);
}

void Writer::wake_by_futex() noexcept {
    auto* extension = memory_->ring_extension();
    if (extension == nullptr) return;
    // release: pairs with the sleeper's load, in Reader::set_waiting.
    const std::uint32_t raised = extension->wake_seq.fetch_add(1, std::memory_order_release) + 1;
    os::futex_wake(extension->wake_seq);
    // Not before: killed in between, we would leave sleepers that the others take for woken. Another writer may have
    // stored a later one: then somebody is woken once more.
    extension->woken_seq.store(raised, std::memory_order_release);
    count_notification();
}

std::vector<ReaderStatus> Writer::readers_in_the_way(const Batch& messages) const {
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
    const Part* part = messages.parts();
    const Placement placement = place_next(part, free_pos, memory_->capacity());
    auto readers = list_readers(*memory_);
    std::erase_if(readers, [&](const ReaderStatus& reader) {
        const auto end = room_end_of(*memory_, reader.slot, free_pos, memory_->horizon());
        return !end || base::distance(placement.end, *end) >= 0;
    });
    return readers;
}

std::int32_t Writer::lock_holder() const {
    const std::uint32_t word = os::load_lock_word(memory_->ring().writer_mutex);
    return os::is_held(word) ? os::process_of_thread(os::owner_of(word)) : 0;
}

}  // namespace toroni::ring
