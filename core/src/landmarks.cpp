#include "toroni/ring/landmarks.hpp"

#include <algorithm>
#include <vector>

#include "toroni/base/fence.hpp"

namespace toroni::ring {

using base::Position;

bool leads_to_end(const Memory& memory, Position from, std::uint64_t& budget) {
    const Position free_pos = memory.ring().free_pos.load(std::memory_order_acquire);
    if (base::distance(from, free_pos) < 0 || base::is_lost(from, free_pos, memory.capacity())) return false;
    Position at = from;
    while (at != free_pos) {
        if (budget-- == 0) {
            budget = 0;
            return false;
        }
        const Step frame = step(memory.data(), memory.capacity(), at, free_pos);
        if (frame.kind == StepKind::damage) return false;
        at = frame.end;
    }
    base::fence::acquire();  // the headers were read before the horizon: pairs with Writer's claim
    return !base::is_lost(from, memory.horizon(), memory.capacity());
}

Position find_oldest(const Memory& memory, std::uint64_t margin) {
    const Position end = memory.ring().free_pos.load(std::memory_order_acquire);
    const auto* extension = memory.ring_extension();
    std::vector<Position> candidates{};
    if (end <= memory.capacity()) candidates.push_back(0);  // the first lap begins with a frame
    for (std::size_t i = 0; extension != nullptr && i < base::landmark_count; ++i) {
        candidates.push_back(extension->landmarks[i].load(std::memory_order_acquire));
    }
    const Position horizon = base::later(memory.horizon(), end);
    const auto unusable = [&](Position candidate) {
        return base::distance(candidate, end) <= 0 || base::is_lost(candidate, horizon + margin, memory.capacity());
    };
    std::erase_if(candidates, unusable);
    std::sort(candidates.begin(), candidates.end(), [](Position a, Position b) { return base::distance(a, b) > 0; });
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
    // A few walks over the smallest frames; over garbage each candidate could cost one.
    std::uint64_t budget = memory.capacity();
    for (const Position candidate : candidates) {
        if (leads_to_end(memory, candidate, budget)) return candidate;
    }
    return end;
}

}  // namespace toroni::ring
