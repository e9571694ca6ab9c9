#include "trace.hpp"

#include <malloc.h>

#include <algorithm>
#include <numeric>

namespace lab {

namespace {

// For each instruction the one before with the same address; the first instruction where there is none.
Roomy<std::size_t> previous_executions(const Roomy<std::uint64_t>& addresses) {
    Roomy<std::size_t> order, previous;
    order.resize(addresses.size());
    previous.resize(addresses.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return addresses[a] != addresses[b] ? addresses[a] < addresses[b] : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
        if (addresses[order[i]] == addresses[order[i - 1]]) previous[order[i]] = order[i - 1];
    }
    return previous;
}

}  // namespace

void keep_heap_still() {
    mallopt(M_MMAP_THRESHOLD, 1 << 17);  // as it is at first; set, it does not move
}

Trace::Trace(Roomy<std::uint64_t> addresses) : addresses_(std::move(addresses)) {
    const auto previous = previous_executions(addresses_);
    Roomy<std::size_t> cost;
    // Candidates for p: each costs less than all behind it, so that the first from some point on is the cheapest there.
    Roomy<std::size_t> candidates;
    previous_stop_.resize(size());
    cost.resize(size());
    for (std::size_t k = 0; k < size(); ++k) {
        if (k != 0) {
            const std::size_t cheapest = *std::lower_bound(candidates.begin(), candidates.end(), previous[k]);
            previous_stop_[k] = cheapest;
            cost[k] = cost[cheapest] + 1;
        }
        while (!candidates.empty() && cost[candidates.back()] >= cost[k]) candidates.pop_back();
        candidates.push_back(k);
    }
}

std::span<const std::size_t> Trace::way_to(std::size_t k) {
    way_.clear();
    for (; k != 0; k = previous_stop_[k]) way_.push_back(k);
    std::reverse(way_.begin(), way_.end());
    return way_;
}

}  // namespace lab
