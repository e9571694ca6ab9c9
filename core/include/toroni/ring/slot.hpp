// A reader's own slot: taken, activated, published to, given back.
//
// What a kill leaves behind, at each step: the kernel marks the lock word owner-died, and a slot whose owner
// died holds nobody back whatever its other bytes say; its next taker deactivates it first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "toroni/base/fence.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

// In a forked child all that writes does nothing: the slot is the parent's.
class Slot {
public:
    // Takes a free slot, or that of a dead reader. Throws slots_exhausted, naming the holders.
    Slot(std::shared_ptr<Memory> memory, const std::string& label);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

    // Makes the slot count for backpressure at `position`. Where the reader starts "now", `position` is
    // loaded again afterwards: a writer that scanned in between may already have lapped the first one.
    // Returns the position that counts.
    base::Position activate(base::Position position, bool starts_now);
    void deactivate();
    // After an activation in the past: a writer that is publishing now may not have seen it, and may overtake
    // that position. Looks on until it is done, for a bounded time.
    void settle() const noexcept;

    // release: pairs with the writers' scan, room_end_of.
    void publish(base::Position position) noexcept {
        if (is_inherited()) return;
        shared_.position.store(position, std::memory_order_release);
        // A foreign reader that ends may store a range that it found before we came, and never looks again.
        const std::uint32_t range = memory_->info().active_range.load(std::memory_order_relaxed);
        if (range >> 16 > index_ || (range & 0xffff) <= index_) widen_active_range(index_, index_ + 1);
    }

    // Whether the lock word still names our keeper: not so after a foreign re-initialisation.
    [[nodiscard]] bool is_held() const noexcept { return !given_back_ && keeper_->holds(index_); }
    // What the destructor does. After a foreign re-initialisation, when the slot may be anybody's, its shared
    // bytes are not touched.
    void give_back();
    [[nodiscard]] bool is_inherited() const noexcept { return keeper_->is_inherited(); }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    [[nodiscard]] base::SlotEntry* entry() const noexcept { return memory_->entry(index_); }

    // The bit that tells writers to make the system call. seq_cst: pairs with the fence in Writer::somebody_waits.
    void set_waiting() noexcept;
    void clear_waiting() noexcept;
    // The sequence that will be slept on, before the look whether to. relaxed: that look, Reader::has_news, has the
    // fence. A reader that dies leaves a note that its slot's next owner writes over before it sleeps.
    void note_sleep(std::uint32_t sequence) noexcept {
        if (auto* entry = this->entry(); entry != nullptr && !is_inherited())
            entry->sleep_seq.store(sequence, std::memory_order_relaxed);
    }

    // Called after room was made (a position published, the slot deactivated): wakes the writer that waits
    // for room, if any.
    void announce_room() noexcept;
    // Whether a writer waits for room; without the fence, so that it may be seen late.
    [[nodiscard]] bool writer_seems_to_wait() const noexcept;

private:
    [[nodiscard]] bool take_any();
    void introduce(const std::string& label);
    void widen_active_range(std::uint32_t first, std::uint32_t end) noexcept;
    void narrow_active_range() noexcept;

    std::shared_ptr<Memory> memory_;  // before keeper_: the keeper ends before its words are unmapped
    std::shared_ptr<os::Keeper> keeper_;
    std::uint32_t index_ = 0;
    bool given_back_ = false;
    base::ReaderSlot& shared_;

    static base::ReaderSlot& taken(Slot& self, const std::string& label);
};

}  // namespace toroni::ring
