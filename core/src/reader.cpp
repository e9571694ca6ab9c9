#include "toroni/ring/reader.hpp"

#include <algorithm>
#include <utility>

#include "toroni/base/error.hpp"
#include "toroni/base/fence.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/landmarks.hpp"

namespace toroni::ring {

using base::Position;
using Verdict = Filter::Verdict;

namespace {

constexpr std::uint64_t smallest_skip = 64 * 1024;

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

ReadStatus Reader::begin(std::size_t max_frames, std::uint64_t max_bytes, Filter* filter) {
    frames_.clear();
    run_messages_ = 0;
    if (!slot_->is_held()) return ReadStatus::restarted;
    const ReadStatus status = walk(max_frames, max_bytes, filter);
    // Nothing, or padding and unwanted messages only.
    if (status == ReadStatus::empty || status == ReadStatus::skipped) {
        passed_ += run_messages_;
        advance(run_end_);
    }
    return status;
}

// claim_pos, or the stream end where there is none, or where it is left over from before a restart: writers
// of ours restart it with their next publication, foreign ones never do.
Position Reader::believed_claim() const noexcept {
    const auto* extension = memory_->ring_extension();
    if (extension == nullptr) return memory_->ring().free_pos.load(std::memory_order_acquire);
    const Position claimed = extension->claim_pos.load(std::memory_order_acquire);
    if (claimed != stale_claim_) return claimed;
    // The same value may come again when it is due: only an impossible one is disbelieved.
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
    return base::is_lost(free_pos, claimed, memory_->capacity()) ? free_pos : claimed;
}

void Reader::note_stale_claim() noexcept {
    const auto* extension = memory_->ring_extension();
    if (extension == nullptr) return;
    const Position claimed = extension->claim_pos.load(std::memory_order_acquire);
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
    if (base::is_lost(free_pos, claimed, memory_->capacity())) stale_claim_ = claimed;
}

// The stream's end counts as well where foreign writers may come, who announce nothing. Elsewhere it is not looked at
// again, as long as it was not beyond the claim when the run began: it lies beside the writer mutex, and each look
// takes that from who writes now.
bool Reader::is_overtaken() const noexcept {
    const Position claimed = believed_claim();
    if (base::is_lost(position_, claimed, memory_->capacity())) return true;
    if (trusts_claim_) return false;
    return base::is_lost(position_, memory_->ring().free_pos.load(std::memory_order_acquire), memory_->capacity());
}

ReadStatus Reader::walk(std::size_t max_frames, std::uint64_t max_bytes, Filter* filter) {
    const std::uint64_t capacity = memory_->capacity();
    const Position claimed = believed_claim();  // before free_pos: pairs with Writer::claim
    const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);  // pairs with Writer::publish
    seen_end_ = free_pos;
    trusts_claim_ = !memory_->expects_foreign() && base::distance(free_pos, claimed) >= 0;
    run_end_ = position_;
    if (base::distance(position_, free_pos) < 0) return ReadStatus::restarted;
    // First of all: it bounds the walk, and keeps all the differences below within a few capacities.
    if (base::is_lost(position_, free_pos, capacity)) return ReadStatus::lost;
    if (base::is_lost(free_pos, claimed, capacity)) return ReadStatus::restarted;
    if (base::is_lost(position_, claimed, capacity)) return ReadStatus::lost;

    enum class Stop { limit, end, damage, refusal } stop = Stop::limit;
    // Skipping is committed in steps, so that a reader that is nearly overtaken gets on.
    const Position walk_end =
        filter == nullptr ? free_pos : base::earlier(free_pos, position_ + std::max(capacity / 8, smallest_skip));
    const std::byte* const data = memory_->data();
    const Bodies bodies(*memory_);
    Position at = position_;
    std::uint64_t bytes = 0, messages = 0;
    for (std::size_t room = max_frames; room != 0 && bytes < max_bytes;) {
        if (base::distance(walk_end, at) >= 0) {
            if (at == free_pos) stop = Stop::end;
            break;
        }
        const Step next = step(data, capacity, at, free_pos);
        if (next.kind == StepKind::damage) {
            stop = Stop::damage;
            break;
        }
        if (next.kind == StepKind::message) {
            // Where it stays: a copy would wait for the stores of its parts.
            Frame& frame = frames_.emplace_back();
            frame.position = at;
            frame.length = static_cast<std::uint32_t>(next.length);
            const auto verdict = filter == nullptr ? Verdict::take : filter->judge(bodies.payload_of(frame), frame);
            if (verdict == Verdict::take) {
                bytes += frame.payload();
                --room;
            } else {
                frames_.pop_back();
                if (verdict == Verdict::refuse && messages != 0) break;  // the next run begins with it
                if (verdict == Verdict::refuse) stop = Stop::refusal;
            }
            ++messages;
        }
        at = next.end;
        if (stop == Stop::refusal) break;
    }
    run_messages_ = messages;
    run_bytes_ = bytes;
    base::fence::acquire();  // every header was read before the claim: pairs with Writer::claim
    if (is_overtaken()) {
        frames_.clear();
        return ReadStatus::lost;
    }
    run_end_ = at;
    if (!frames_.empty()) return ReadStatus::messages;
    if (stop == Stop::refusal) return ReadStatus::refused;
    if (stop == Stop::end) return ReadStatus::empty;
    if (stop == Stop::limit || run_messages_ != 0) return ReadStatus::skipped;
    // A writer that announces nothing may be overwriting the ring's oldest bytes: not damage, but loss.
    return memory_->ring_extension() == nullptr ? ReadStatus::lost : ReadStatus::damaged;
}

bool Reader::commit() {
    base::fence::acquire();  // every body was copied before the claim: pairs with Writer::claim
    if (is_overtaken() || !slot_->is_held()) return false;
    messages_ += frames_.size();
    bytes_ += run_bytes_;
    passed_ += std::exchange(run_messages_, 0);
    frames_.clear();
    advance(run_end_);
    return true;
}

// ---- position and room ------------------------------------------------------------------------------------

void Reader::advance(Position to) {
    position_ = to;
    if (to == seen_end_ && !count_base_) synchronize_count();
    make_room();
}

// The copy in the slot is updated sparingly: at the stream end, after an eighth of the ring, and after every run
// while a writer waits or will have to soon, the ring being more than half full for all it can see. That writer
// is woken in large steps only, and looks by itself every 20 ms.
void Reader::make_room() noexcept {
    const bool at_end = position_ == seen_end_;
    const auto half = static_cast<std::int64_t>(memory_->capacity() / 2);
    const bool nearly_full = base::distance(published_, seen_end_) > half;
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

void Reader::pin() noexcept {
    if (published_ == position_) return;
    slot_->publish(position_);
    published_ = announced_ = position_;
    slot_->announce_room();
}

std::uint64_t Reader::lag() const noexcept {
    const auto lag = base::distance(position_, memory_->ring().free_pos.load(std::memory_order_acquire));
    return lag > 0 ? static_cast<std::uint64_t>(lag) : 0;
}

// ---- sleeping ---------------------------------------------------------------------------------------------

std::uint32_t Reader::set_waiting() noexcept {
    slot_->publish(position_);
    published_ = announced_ = position_;
    const auto* word = wake_word();
    // acquire: pairs with Writer::wake_by_futex.
    const std::uint32_t sequence = word == nullptr ? 0 : word->load(std::memory_order_acquire);
    slot_->note_sleep(sequence);
    slot_->set_waiting();
    slot_->announce_room();  // a writer that began to wait unseen would otherwise lose a slice
    return sequence;
}

const std::atomic<std::uint32_t>* Reader::wake_word() const noexcept {
    const auto* extension = memory_->ring_extension();
    return extension == nullptr || memory_->info_extension() == nullptr ? nullptr : &extension->wake_seq;
}

bool Reader::has_news() const noexcept {
    base::fence::seq_cst();  // between the waiting bit and free_pos: pairs with Writer::somebody_waits
    return memory_->ring().free_pos.load(std::memory_order_acquire) != position_ || !slot_->is_held();
}

}  // namespace toroni::ring
