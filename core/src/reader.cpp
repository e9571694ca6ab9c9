#include "toroni/ring/reader.hpp"

#include <utility>

#include "toroni/base/error.hpp"
#include "toroni/base/fence.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

namespace toroni::ring {

using base::Position;

namespace {

// A position that is lost already is taken: the first read says what was missed.
Position check_start(const Memory& memory, Position position) {
    const Position free_pos = memory.ring().free_pos.load(std::memory_order_acquire);
    std::uint64_t budget = memory.capacity();
    if (position <= free_pos && leads_to_end(memory, position, budget)) return position;
    if (position <= free_pos && base::is_lost(position, memory.horizon(), memory.capacity())) return position;
    throw base::Error(base::ErrorCode::invalid_argument,
                      "no message starts at position " + std::to_string(position) + "; the stream ends at " +
                          std::to_string(memory.ring().free_pos.load(std::memory_order_acquire)));
}

}  // namespace

Reader::Reader(std::shared_ptr<Memory> memory, Start start, std::string label)
    : memory_(std::move(memory)), label_(std::move(label)), slot_(std::make_unique<Slot>(memory_, label_)) {
    note_stale_claim();
    if (start.kind == StartKind::position) {
        activate(check_start(*memory_, start.position), false);
        find_count_base();
    } else if (start.kind == StartKind::now || !start_at_oldest()) {
        activate(memory_->ring().free_pos.load(std::memory_order_acquire), true);
        find_count();
    }
}

// It may be overtaken before its slot counts: then again, each time further from what is overwritten next. False
// if that was in vain. From the end of the constructor on, what is missed is told.
bool Reader::start_at_oldest() {
    const std::uint64_t capacity = memory_->capacity();
    for (const std::uint64_t margin : {std::uint64_t{0}, capacity / 8, capacity / 2}) {
        activate(find_oldest(*memory_, margin), false);
        find_count_base();
        if (!is_overtaken() && (count_base_ || memory_->ring_extension() == nullptr)) return true;
    }
    return false;
}

// Writers do not wait for a reader that they have overtaken, and remember so: after a loss, too, they are told
// by an activation that there is a position to look at.
void Reader::activate(Position position, bool starts_now) {
    position_ = published_ = announced_ = slot_->activate(position, starts_now);
    if (!starts_now) slot_->settle();
    slot_->announce_room();
}

void Reader::take_own_slot() {
    slot_ = std::make_unique<Slot>(memory_, label_);  // the destructor of the parent's does nothing
    activate(position_, false);
}

// ---- a run ------------------------------------------------------------------------------------------------

ReadStatus Reader::begin(std::size_t max_frames, std::uint64_t max_bytes) {
    frames_.clear();
    if (!slot_->is_held()) return ReadStatus::restarted;
    const ReadStatus status = walk(max_frames, max_bytes);
    if (status == ReadStatus::empty) advance(run_end_);  // nothing, or padding only
    return status;
}

// claim_pos, or the stream end where there is none, or where it is left over from before a restart: writers
// of ours restart it with their next publication, foreign ones never do.
Position Reader::believed_claim() const noexcept {
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
    const auto* extension = memory_->ring_extension();
    if (extension == nullptr) return free_pos;
    const Position claimed = extension->claim_pos.load(std::memory_order_acquire);
    // The same value may come again when it is due: only an impossible one is disbelieved.
    const bool is_stale = claimed == stale_claim_ && base::is_lost(free_pos, claimed, memory_->capacity());
    return is_stale ? free_pos : claimed;
}

void Reader::note_stale_claim() noexcept {
    const auto* extension = memory_->ring_extension();
    if (extension == nullptr) return;
    const Position claimed = extension->claim_pos.load(std::memory_order_acquire);
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
    if (base::is_lost(free_pos, claimed, memory_->capacity())) stale_claim_ = claimed;
}

bool Reader::is_overtaken() const noexcept {
    const Position claimed = believed_claim();
    return base::is_lost(position_, claimed, memory_->capacity()) ||
           base::is_lost(position_, memory_->ring().free_pos.load(std::memory_order_acquire), memory_->capacity());
}

ReadStatus Reader::walk(std::size_t max_frames, std::uint64_t max_bytes) {
    const std::uint64_t capacity = memory_->capacity();
    const Position claimed = believed_claim();  // before free_pos: pairs with Writer::claim
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);  // pairs with Writer::publish
    run_end_ = position_;
    if (base::distance(position_, free_pos) < 0) return ReadStatus::restarted;
    // First of all: it bounds the walk, and keeps all the differences below within a few capacities.
    if (base::is_lost(position_, free_pos, capacity)) return ReadStatus::lost;
    if (base::is_lost(free_pos, claimed, capacity)) return ReadStatus::restarted;
    if (base::is_lost(position_, claimed, capacity)) return ReadStatus::lost;

    bool damaged = false;
    Position at = position_;
    std::uint64_t bytes = 0;
    while (at != free_pos && frames_.size() < max_frames && bytes < max_bytes) {
        const Step frame = step(memory_->data(), capacity, at, free_pos);
        damaged = frame.kind == StepKind::damage;
        if (damaged) break;
        if (frame.kind == StepKind::message) {
            frames_.push_back({frame.end - frame.length - base::frame_header_size, frame.length});
            bytes += frame.length;
        }
        at = frame.end;
    }
    base::fence::acquire();  // every header was read before the claim: pairs with Writer::claim
    if (is_overtaken()) {
        frames_.clear();
        return ReadStatus::lost;
    }
    run_end_ = at;
    if (!frames_.empty()) return ReadStatus::messages;
    if (!damaged) return ReadStatus::empty;
    // A writer that announces nothing may be overwriting the ring's oldest bytes: not damage, but loss.
    return memory_->ring_extension() == nullptr ? ReadStatus::lost : ReadStatus::damaged;
}

bool Reader::commit() {
    base::fence::acquire();  // every body was copied before the claim: pairs with Writer::claim
    if (is_overtaken()) return false;
    messages_ += frames_.size();
    for (const Frame& frame : frames_) bytes_ += frame.length;
    frames_.clear();
    advance(run_end_);
    return true;
}

// ---- position and room ------------------------------------------------------------------------------------

void Reader::advance(Position to) {
    position_ = to;
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_relaxed);
    if (to == free_pos && !count_base_) synchronize_count();
    make_room(free_pos);
}

// The copy in the slot is updated sparingly: at the stream end, after an eighth of the ring, and after every run
// while a writer waits or will have to soon, the ring being more than half full for all it can see. That writer
// is woken in large steps only, and looks by itself every 20 ms.
void Reader::make_room(Position free_pos) noexcept {
    const bool at_end = position_ == free_pos;
    const auto half = static_cast<std::int64_t>(memory_->capacity() / 2);
    const bool nearly_full = base::distance(published_, free_pos) > half;
    const auto moved = [&](Position since) {
        return base::distance(since, position_) >= static_cast<std::int64_t>(memory_->capacity() / 8);
    };
    const bool writer_waits = slot_->writer_seems_to_wait();
    if (published_ != position_ && (at_end || writer_waits || nearly_full || moved(published_))) {
        slot_->publish(position_);
        published_ = position_;
        if (auto* entry = slot_->entry()) {
            entry->messages.store(messages_, std::memory_order_relaxed);
            entry->bytes.store(bytes_, std::memory_order_relaxed);
        }
    }
    if (announced_ != position_ && (moved(announced_) || (at_end && writer_waits))) {
        announced_ = position_;
        slot_->announce_room();
    }
}

std::uint64_t Reader::lag() const noexcept {
    const auto lag = base::distance(position_, memory_->ring().free_pos.load(std::memory_order_acquire));
    return lag > 0 ? static_cast<std::uint64_t>(lag) : 0;
}

// ---- loss -------------------------------------------------------------------------------------------------

void Reader::synchronize_count() noexcept {
    const auto* extension = memory_->ring_extension();
    const auto count = extension == nullptr ? std::nullopt : tally::newest(*extension);
    if (count && count->position == position_) count_base_ = CountBase{count->messages - messages_, count->epoch};
}

// The same where we do not stand at the stream end: counts the frames in between, once.
void Reader::find_count_base() noexcept {
    count_base_.reset();
    const auto* extension = memory_->ring_extension();
    const auto count = extension == nullptr ? std::nullopt : tally::newest(*extension);
    if (!count) return;
    if (base::distance(position_, count->position) >= 0) {
        const auto between = tally::continued(*memory_, {position_, 0, 0, count->epoch}, count->position);
        if (between) count_base_ = CountBase{count->messages - between->messages - messages_, count->epoch};
    } else if (const auto continued = tally::continued(*memory_, *count, position_)) {
        count_base_ = CountBase{continued->messages - messages_, continued->epoch};
    }
}

// At the stream end: moves on to a position whose count is known, at most the publications that came meanwhile,
// and takes it as the base of our own count. Returns how many messages lie between what we have read and there.
std::optional<std::uint64_t> Reader::find_count() noexcept {
    const auto before = std::exchange(count_base_, std::nullopt);
    const auto* extension = memory_->ring_extension();
    constexpr int tries = 100;  // each fails only if writers published meanwhile
    for (int i = 0; extension != nullptr && i < tries; ++i) {
        auto count = tally::newest(*extension);
        if (!count) continue;
        if (base::distance(count->position, position_) > 0) count = tally::continued(*memory_, *count, position_);
        const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
        if (!count || base::distance(count->position, free_pos) < 0) continue;
        if (base::is_lost(count->position, memory_->horizon(), memory_->capacity())) continue;
        count_base_ = CountBase{count->messages - messages_, count->epoch};
        position_ = published_ = announced_ = count->position;
        slot_->publish(position_);
        if (!before || before->epoch != count->epoch) return std::nullopt;
        return count->messages - messages_ - before->messages;
    }
    return std::nullopt;
}

Loss Reader::resume(ReadStatus cause) {
    frames_.clear();
    Loss loss{cause, position_, position_, 0, std::nullopt};
    if (cause == ReadStatus::restarted) {
        count_base_.reset();
        note_stale_claim();
        slot_->give_back();
        slot_ = std::make_unique<Slot>(memory_, label_);
        activate(memory_->ring().free_pos.load(std::memory_order_acquire), true);
        find_count();
    } else {
        activate(memory_->ring().free_pos.load(std::memory_order_acquire), true);
        loss.messages = find_count();
        loss.bytes = position_ - loss.from;
    }
    loss.to = position_;
    memory_->info().expired_readers.fetch_add(1, std::memory_order_relaxed);
    if (auto* entry = slot_->entry()) {
        entry->losses.fetch_add(1, std::memory_order_relaxed);
        entry->lost_bytes.fetch_add(loss.bytes, std::memory_order_relaxed);
    }
    return loss;
}

// ---- sleeping ---------------------------------------------------------------------------------------------

void Reader::set_waiting() noexcept {
    slot_->publish(position_);
    published_ = announced_ = position_;
    slot_->set_waiting();
    slot_->announce_room();  // a writer that began to wait unseen would otherwise lose a slice
}

const std::atomic<std::uint32_t>* Reader::wake_word() const noexcept {
    const auto* extension = memory_->ring_extension();
    return extension == nullptr || memory_->info_extension() == nullptr ? nullptr : &extension->wake_seq;
}

bool Reader::has_news() const noexcept {
    base::fence::seq_cst();  // between the waiting bit and free_pos: pairs with Writer::announce
    return memory_->ring().free_pos.load(std::memory_order_acquire) != position_ || !slot_->is_held();
}

}  // namespace toroni::ring
