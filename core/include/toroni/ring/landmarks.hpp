// Where frames start: what lets a reader begin at the oldest message that the ring still holds.
//
// landmarks[k] is the position of the first frame that starts in the k-th 64th of the ring. They are stored
// after free_pos: stored before it, a writer's death would leave a landmark that names no frame. A reader
// believes one only after a walk of headers from it has landed exactly on a free_pos that it loaded.
#pragma once

#include <array>
#include <bit>

#include "toroni/ring/frame.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

// The landmarks that one publication passes, collected while it is planned and stored after it is published.
class Landmarks {
public:
    Landmarks(std::uint64_t capacity, base::Position first) noexcept
        : shift_(std::countr_zero(capacity) - std::countr_zero(base::landmark_count)),
          mask_(capacity - 1),
          next_sector_(first) {}

    void pass(base::Position frame) noexcept {
        if (base::distance(next_sector_, frame) < 0) return;
        next_sector_ = ((frame >> shift_) + 1) << shift_;
        if (count_ < passed_.size()) passed_[count_++] = frame;
    }

    // Under the writer mutex, after free_pos. A sector that an earlier publication of this lap has entered
    // keeps its landmark.
    void store(base::RingExtension& extension) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            const base::Position frame = passed_[i];
            const base::Position sector_start = frame >> shift_ << shift_;
            auto& landmark = extension.landmarks[(frame & mask_) >> shift_];
            const base::Position known = landmark.load(std::memory_order_relaxed);
            const bool known_is_of_this_lap = known >= sector_start && known < frame;
            if (!known_is_of_this_lap) landmark.store(frame, std::memory_order_release);
        }
    }

private:
    int shift_;
    std::uint64_t mask_;
    base::Position next_sector_;
    std::size_t count_ = 0;
    std::array<base::Position, base::landmark_count + 1> passed_;  // the first sector may be entered twice
};

// Whether frames lead from `from` exactly to the stream end, and none of their headers can have been
// overwritten while they were read.
// Spends a step of `budget` for each frame, and gives up without.
[[nodiscard]] bool leads_to_end(const Memory& memory, base::Position from, std::uint64_t& budget);

// The oldest position from which every frame can still be read, and that is at least `margin` bytes away from
// being overwritten. The stream end if there is none.
base::Position find_oldest(const Memory& memory, std::uint64_t margin = 0);

}  // namespace toroni::ring
