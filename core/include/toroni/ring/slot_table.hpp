// The reader slots as everybody sees them: who holds which, who is dead, how far behind each reader is.
// Reads shared bytes only; what an owner does to its own slot is in slot.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "toroni/os/lock_word.hpp"
#include "toroni/os/process.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

// Whether a live reader holds the slot, as the kernel recorded it. No timeout is involved.
[[nodiscard]] inline bool is_alive(const Memory& memory, std::uint32_t index) noexcept {
    return os::is_held(os::load_lock_word(memory.slot(index).mutex));
}

// Whether the holder is one of ours: its entry names the thread that the lock word names. A slot in use
// without such an entry is a foreign reader's.
[[nodiscard]] inline bool is_ours(const Memory& memory, std::uint32_t index) noexcept {
    const base::SlotEntry* entry = memory.entry(index);
    if (entry == nullptr) return false;
    const std::uint32_t tid = entry->keeper_tid.load(std::memory_order_acquire);
    return tid != 0 && tid == os::owner_of(os::load_lock_word(memory.slot(index).mutex));
}

// acquire: pairs with the activating reader's release of is_active, behind its position.
[[nodiscard]] inline bool counts_for_backpressure(const Memory& memory, std::uint32_t index) noexcept {
    return memory.slot(index).is_active.load(std::memory_order_acquire) != 0 && is_alive(memory, index);
}

// Whether a foreign reader is active. All slots: active_range may be wrong for a moment.
[[nodiscard]] inline bool has_foreign_reader(const Memory& memory) noexcept {
    for (std::uint32_t i = 0; i < memory.max_readers(); ++i) {
        if (counts_for_backpressure(memory, i) && !is_ours(memory, i)) return true;
    }
    return false;
}

// The position beyond which nothing may be written without overtaking the reader in slot `index`, given
// that the stream reaches to `free_pos` and is announced up to `horizon`. Nothing if it holds nobody back:
// not active, dead, overtaken already, or nonsense.
[[nodiscard]] inline std::optional<base::Position> room_end_of(const Memory& memory, std::uint32_t index,
                                                               base::Position free_pos,
                                                               base::Position horizon) noexcept {
    if (!counts_for_backpressure(memory, index)) return std::nullopt;
    const base::Position position = memory.slot(index).position.load(std::memory_order_acquire);
    const std::uint64_t capacity = memory.capacity();
    if (base::distance(position, free_pos) < 0) return std::nullopt;
    // A foreign process takes a position for lost when free_pos reaches exactly one capacity beyond it: a reader its
    // own, a writer that of any reader, which it then overtakes.
    const base::Position end = position + capacity - (is_ours(memory, index) && !memory.expects_foreign() ? 0 : 1);
    if (base::distance(horizon, end) < 0) return std::nullopt;
    return end;
}

struct ReaderStatus {
    std::uint32_t slot = 0;
    std::int32_t pid = 0;  // 0: unknown (a foreign reader whose thread is gone)
    std::string label;
    std::uint64_t start_time = 0;  // clock ticks since boot; 0 for a foreign reader
    bool alive = false;
    bool active = false;
    bool foreign = false;
    bool waiting = false;
    base::Position position = 0;
    std::uint64_t lag = 0;   // bytes behind the stream end
    double lag_percent = 0;  // of the ring
    std::uint64_t messages = 0, bytes = 0, losses = 0, lost_bytes = 0;
};

// Everybody who holds a slot, dead owners included.
[[nodiscard]] std::vector<ReaderStatus> list_readers(const Memory& memory);

// "pid 12 (camera), pid 15": for messages to people.
[[nodiscard]] std::string describe(const std::vector<ReaderStatus>& readers);

}  // namespace toroni::ring
