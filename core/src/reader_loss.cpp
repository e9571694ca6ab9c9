// What a reader missed: counted, and gone on behind.
#include <utility>

#include "toroni/ring/reader.hpp"
#include "toroni/ring/tally.hpp"

namespace toroni::ring {

using base::Position;

void Reader::synchronize_count() noexcept {
    const auto* extension = memory_->ring_extension();
    const auto count = extension == nullptr ? std::nullopt : tally::newest(*extension);
    if (count && count->position == position_) count_base_ = CountBase{count->messages - passed_, count->epoch};
}

// The same where we do not stand at the stream end: counts the frames in between, once.
void Reader::find_count_base() noexcept {
    count_base_.reset();
    const auto* extension = memory_->ring_extension();
    const auto count = extension == nullptr ? std::nullopt : tally::newest(*extension);
    if (!count) return;
    std::uint64_t budget = tally::steps_of_a_lap(*memory_);
    if (base::distance(position_, count->position) >= 0) {
        const auto between = tally::continued(*memory_, {position_, 0, 0, count->epoch}, count->position, budget);
        if (between) count_base_ = CountBase{count->messages - between->messages - passed_, count->epoch};
    } else if (const auto continued = tally::continued(*memory_, *count, position_, budget)) {
        count_base_ = CountBase{continued->messages - passed_, continued->epoch};
    }
}

// At the stream end: moves on to a position whose count is known, at most the publications that came meanwhile,
// and takes it as the base of our own count. Returns how many messages lie between what we have read and there.
std::optional<std::uint64_t> Reader::find_count() noexcept {
    const auto before = std::exchange(count_base_, std::nullopt);
    const auto* extension = memory_->ring_extension();
    constexpr int tries = 100;                               // each fails only if writers published meanwhile
    std::uint64_t budget = tally::steps_of_a_lap(*memory_);  // or over garbage: no more than a lap in all of them
    for (int i = 0; extension != nullptr && i < tries && budget != 0; ++i) {
        auto count = tally::newest(*extension);
        if (!count) continue;
        if (base::distance(count->position, position_) > 0)
            count = tally::continued(*memory_, *count, position_, budget);
        const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
        if (!count || base::distance(count->position, free_pos) < 0) continue;
        if (base::is_lost(count->position, memory_->horizon(), memory_->capacity())) continue;
        count_base_ = CountBase{count->messages - passed_, count->epoch};
        position_ = published_ = announced_ = count->position;
        slot_->publish(position_);
        if (!before || before->epoch != count->epoch) return std::nullopt;
        return count->messages - passed_ - before->messages;
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
    } else if (cause == ReadStatus::refused) {
        loss.messages = 1;
        loss.bytes = run_end_ - position_;
        ++passed_;
        advance(run_end_);
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

}  // namespace toroni::ring
