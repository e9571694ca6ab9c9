// The writer's memory of the slowest reader, so that a write does not look at every slot.
#pragma once

#include "toroni/ring/slot_table.hpp"

namespace toroni::ring {

// Used under the writer mutex only.
class SlowestReader {
public:
    // A publication begins: its messages share one look at the slots, at most.
    void begin() noexcept { has_looked_ = false; }

    // Whether the stream may be extended to `end` without overtaking a live reader. The caller has issued a
    // seq_cst fence since it took the writer mutex, which pairs with that in Slot::activate.
    [[nodiscard]] bool has_room(const Memory& memory, base::Position free_pos, base::Position end) noexcept {
        const bool fits = base::distance(end, room_end_) >= 0;
        if (has_looked_) return fits;
        if (fits && known_ && activation_seq_ == load_activations(memory)) return true;
        has_looked_ = true;
        scan(memory, free_pos);
        return base::distance(end, room_end_) >= 0;
    }

    // The same without a look; false where one would be needed.
    [[nodiscard]] bool seems_to_have_room(const Memory& memory, base::Position end) const noexcept {
        if (base::distance(end, room_end_) < 0) return false;
        return has_looked_ || (known_ && activation_seq_ == load_activations(memory));
    }

    // The end of that room, as of the last look.
    [[nodiscard]] base::Position room_end() const noexcept { return room_end_; }

    // Whether a foreign reader may be there, who takes a position for lost that is exactly one capacity behind.
    [[nodiscard]] bool expects_foreign(const Memory& memory) const noexcept {
        return memory.expects_foreign() || saw_foreign_;
    }

    // After a foreign re-initialisation positions start anew.
    void forget() noexcept { known_ = false; }

private:
    static std::uint64_t load_activations(const Memory& memory) noexcept {
        const auto* extension = memory.info_extension();
        return extension == nullptr ? 0 : extension->activation_seq.load(std::memory_order_acquire);
    }

    void scan(const Memory& memory, base::Position free_pos) noexcept {
        known_ = false;  // whatever a fork in the middle copies, it scans again
        const std::uint64_t activations =
            load_activations(memory);  // before the slots: a later one makes us look again
        const base::Position horizon = base::later(memory.horizon(), free_pos);
        // Whoever is activated after this scan starts at free_pos or later, or raises activation_seq; where
        // foreign readers may come, who do not raise it, their stricter bound holds.
        base::Position room_end = free_pos + memory.capacity() - (memory.expects_foreign() ? 1 : 0);
        bool known = memory.info_extension() != nullptr;  // without activation_seq nothing can be remembered
        bool saw_foreign = false;
        for (std::uint32_t i = 0; i < memory.max_readers(); ++i) {
            if (!counts_for_backpressure(memory, i)) continue;
            const auto end = room_end_of(memory, i, free_pos, horizon);
            // A live reader that seems overtaken may have a better position, which it is about to publish.
            if (!end) known = false;
            else room_end = base::earlier(room_end, *end);
            saw_foreign = saw_foreign || !is_ours(memory, i);
        }
        activation_seq_ = activations;
        room_end_ = room_end;
        saw_foreign_ = saw_foreign;
        known_ = known;
    }

    bool known_ = false;  // room_end_ is good for later publications, too
    bool has_looked_ = false;
    bool saw_foreign_ = false;
    base::Position room_end_ = 0;
    std::uint64_t activation_seq_ = 0;
};

}  // namespace toroni::ring
