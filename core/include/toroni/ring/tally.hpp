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

// One walk along the smallest frames all around the ring.
[[nodiscard]] inline std::uint64_t steps_of_a_lap(const Memory& memory) noexcept {
    return memory.capacity() / base::frame_header_size + 1;
}

// `count`, with the frames from its position to `to` counted too. Nothing if they cannot all be read. Spends a step of
// `budget` for each frame, and gives up without.
[[nodiscard]] inline std::optional<Count> continued(const Memory& memory, Count count, base::Position to,
                                                    std::uint64_t& budget) noexcept {
    const base::Position from = count.position;
    if (base::distance(from, to) < 0 || base::is_lost(from, to, memory.capacity())) return std::nullopt;
    while (count.position != to) {
        if (budget == 0) return std::nullopt;
        --budget;
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

// The count at the stream end, and in which of the two records the next one goes: never the one it came from.
struct Total {
    Count count;
    std::size_t next;
};

inline void publish(base::RingExtension& extension, const Total& before, base::Position end, std::uint64_t messages,
                    std::uint64_t bytes) noexcept {
    store(extension.counts[before.next], {end, before.count.messages + messages, before.count.bytes + bytes, 0});
}

// Whoever wrote last.
[[nodiscard]] inline Total reconcile(const Memory& memory, base::Position free_pos) noexcept {
    base::RingExtension& extension = *memory.ring_extension();
    for (const std::size_t i : {0u, 1u}) {  // mostly
        const base::CountRecord& record = extension.counts[i];
        if (record.end.load(std::memory_order_relaxed) != free_pos) continue;
        if (record.begin.load(std::memory_order_relaxed) != free_pos) continue;
        const auto messages = record.messages.load(std::memory_order_relaxed);
        return {{free_pos, messages, record.bytes.load(std::memory_order_relaxed), 0}, 1 - i};
    }
    const auto a = load(extension.counts[0]), b = load(extension.counts[1]);
    const bool is_second = !a || (b && base::distance(a->position, b->position) > 0);
    const auto& newest = is_second ? b : a;
    const std::size_t next = is_second ? 0 : 1;
    if (newest) {
        std::uint64_t budget = steps_of_a_lap(memory);
        if (const auto counted = continued(memory, *newest, free_pos, budget)) return {*counted, next};
    }
    // Uncountable. No record may be valid while the epoch changes, or one of the old would count in the new.
    for (auto& record : extension.counts)
        record.begin.store(record.end.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    base::fence::release();
    const std::uint64_t epoch = extension.count_epoch.load(std::memory_order_relaxed) + 1;
    extension.count_epoch.store(epoch, std::memory_order_release);
    const Count fresh{free_pos, newest ? newest->messages : 0, newest ? newest->bytes : 0, epoch};
    store(extension.counts[0], fresh);
    return {fresh, 1};
}

}  // namespace tally
}  // namespace toroni::ring
