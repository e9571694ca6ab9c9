// How many messages the stream held at which position: what lets a reader that was lapped say how many it
// missed.
//
// Two records, written in turn under the writer mutex, each valid when its first and its last stored field
// name the same position. A writer killed while it writes one leaves the other valid. Where the newest valid
// record is not at the stream end (a foreign writer, or one that died before it counted), the next writer
// counts the frames in between; where that is impossible, it raises `count_epoch`, and no difference is taken
// across epochs.
#pragma once

#include <optional>

#include "toroni/base/fence.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

struct Count {
    base::Position position;
    std::uint64_t messages;
    std::uint64_t bytes;
    std::uint64_t epoch;
};

namespace tally {

[[nodiscard]] inline std::optional<Count> load(const base::CountRecord& record) noexcept {
    Count count{};
    count.position = record.end.load(std::memory_order_acquire);  // pairs with store's last
    count.messages = record.messages.load(std::memory_order_relaxed);
    count.bytes = record.bytes.load(std::memory_order_relaxed);
    base::fence::acquire();  // pairs with store's release fence
    if (record.begin.load(std::memory_order_relaxed) != count.position) return std::nullopt;
    return count;
}

// The newest valid count: at the stream end, or a publication behind it. For readers, without a lock.
[[nodiscard]] inline std::optional<Count> newest(const base::RingExtension& extension) noexcept {
    const std::uint64_t epoch = extension.count_epoch.load(std::memory_order_acquire);
    const auto a = load(extension.counts[0]), b = load(extension.counts[1]);
    base::fence::acquire();
    if (extension.count_epoch.load(std::memory_order_relaxed) != epoch) return std::nullopt;
    auto best = !a || (b && base::distance(a->position, b->position) > 0) ? b : a;
    if (best) best->epoch = epoch;
    return best;
}

// `count`, with the frames from its position to `to` counted too. Nothing if they cannot all be read.
[[nodiscard]] inline std::optional<Count> continued(const Memory& memory, Count count, base::Position to) noexcept {
    const base::Position from = count.position;
    if (base::distance(from, to) < 0 || base::is_lost(from, to, memory.capacity())) return std::nullopt;
    while (count.position != to) {
        const Step frame = step(memory.data(), memory.capacity(), count.position, to);
        if (frame.kind == StepKind::damage) return std::nullopt;
        if (frame.kind == StepKind::message) {
            ++count.messages;
            count.bytes += frame.length;
        }
        count.position = frame.end;
    }
    base::fence::acquire();  // the headers were read before the horizon: pairs with Writer::claim
    if (base::is_lost(from, memory.horizon(), memory.capacity())) return std::nullopt;
    return count;
}

// The rest needs the writer mutex.

inline void store(base::CountRecord& record, const Count& count) noexcept {
    record.begin.store(count.position, std::memory_order_relaxed);
    base::fence::release();
    record.messages.store(count.messages, std::memory_order_relaxed);
    record.bytes.store(count.bytes, std::memory_order_relaxed);
    record.end.store(count.position, std::memory_order_release);
}

// Advances the older of the two records, or the damaged one.
inline void publish(base::RingExtension& extension, const Count& count) noexcept {
    const auto a = load(extension.counts[0]), b = load(extension.counts[1]);
    const bool first_is_older = !a || (b && base::distance(a->position, b->position) > 0);
    store(extension.counts[first_is_older ? 0 : 1], count);
}

// The count at the stream end, whoever wrote last.
[[nodiscard]] inline Count reconcile(const Memory& memory, base::Position free_pos) noexcept {
    base::RingExtension& extension = *memory.ring_extension();
    const auto count = newest(extension);
    if (count && count->position == free_pos) return *count;
    if (count) {
        if (const auto counted = continued(memory, *count, free_pos)) return *counted;
    }
    // Uncountable. No record may be valid while the epoch changes, or one of the old would count in the new.
    for (auto& record : extension.counts)
        record.begin.store(record.end.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    base::fence::release();
    const std::uint64_t epoch = extension.count_epoch.load(std::memory_order_relaxed) + 1;
    extension.count_epoch.store(epoch, std::memory_order_release);
    const Count fresh{free_pos, count ? count->messages : 0, count ? count->bytes : 0, epoch};
    store(extension.counts[0], fresh);
    return fresh;
}

}  // namespace tally
}  // namespace toroni::ring
