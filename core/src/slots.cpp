#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "toroni/base/error.hpp"
#include "toroni/os/futex.hpp"
#include "toroni/ring/slot.hpp"
#include "toroni/ring/slot_table.hpp"

namespace toroni::ring {

using base::Position;

// ---- as everybody sees them -------------------------------------------------------------------------------

namespace {

// The label is another process's bytes: copied once, cut at the first NUL, never trusted to end.
std::string read_label(const base::SlotEntry& entry) {
    std::string label;
    for (const auto& shared : entry.label) {
        const char c = shared.load(std::memory_order_relaxed);
        if (c == '\0') break;
        const bool is_control = (c >= 0 && c < ' ') || c == 0x7f;  // nothing that a terminal would obey
        label.push_back(is_control ? '?' : c);
    }
    return label;
}

bool waiting_bit(const Memory& memory, std::uint32_t index) {
    const auto* extension = memory.info_extension();
    return extension != nullptr &&
           (extension->waiting[index / 64].load(std::memory_order_acquire) >> (index % 64) & 1) != 0;
}

ReaderStatus status_of(const Memory& memory, std::uint32_t index, std::uint32_t word) {
    ReaderStatus status;
    status.slot = index;
    status.alive = os::is_held(word);
    status.active = memory.slot(index).is_active.load(std::memory_order_acquire) != 0;
    status.position = memory.slot(index).position.load(std::memory_order_acquire);
    const auto lag = base::distance(status.position, memory.ring().free_pos.load(std::memory_order_acquire));
    status.lag = lag > 0 ? static_cast<std::uint64_t>(lag) : 0;
    status.lag_percent = 100.0 * static_cast<double>(status.lag) / static_cast<double>(memory.capacity());
    status.waiting = waiting_bit(memory, index);
    const base::SlotEntry* entry = memory.entry(index);
    // The kernel clears the thread id of a dead owner; its entry still says who it was.
    status.foreign =
        status.alive ? !is_ours(memory, index) : entry == nullptr || entry->pid.load(std::memory_order_relaxed) == 0;
    if (status.foreign) {
        status.pid = os::process_of_thread(os::owner_of(word));
        return status;
    }
    // Whoever reads of a pid may send it a signal: none that names a group, or everybody.
    const std::uint32_t pid = entry->pid.load(std::memory_order_relaxed);
    status.pid = pid <= FUTEX_TID_MASK ? static_cast<std::int32_t>(pid) : 0;
    status.start_time = entry->start_time.load(std::memory_order_relaxed);
    status.label = read_label(*entry);
    status.messages = entry->messages.load(std::memory_order_relaxed);
    status.bytes = entry->bytes.load(std::memory_order_relaxed);
    status.losses = entry->losses.load(std::memory_order_relaxed);
    status.lost_bytes = entry->lost_bytes.load(std::memory_order_relaxed);
    return status;
}

}  // namespace

std::vector<ReaderStatus> list_readers(const Memory& memory) {
    std::vector<ReaderStatus> readers;
    for (std::uint32_t i = 0; i < memory.max_readers(); ++i) {
        const std::uint32_t word = os::load_lock_word(memory.slot(i).mutex);
        if (word != 0) readers.push_back(status_of(memory, i, word));
    }
    return readers;
}

std::string describe(const std::vector<ReaderStatus>& readers) {
    std::string text;
    for (const ReaderStatus& reader : readers) {
        if (!text.empty()) text += ", ";
        text += reader.pid != 0 ? "pid " + std::to_string(reader.pid) : "an unknown process";
        if (!reader.label.empty()) text += " (" + reader.label + ")";
        if (reader.foreign) text += " (C++ or Java)";
    }
    return text;
}

// ---- our own ----------------------------------------------------------------------------------------------

Slot::Slot(std::shared_ptr<Memory> memory, const std::string& label)
    : memory_(std::move(memory)), keeper_(memory_->keeper()), shared_(taken(*this, label)) {}

base::ReaderSlot& Slot::taken(Slot& self, const std::string& label) {
    if (!self.take_any()) {
        const auto holders = list_readers(*self.memory_);
        throw base::Error(base::ErrorCode::slots_exhausted,
                          "all " + std::to_string(self.memory_->max_readers()) + " reader slots are taken, by " +
                              describe(holders) + "; close a reader, or make the bus with a larger max_readers");
    }
    base::ReaderSlot& slot = self.memory_->slot(self.index_);
    slot.is_active.store(0, std::memory_order_release);  // left over from a dead owner
    self.clear_waiting();
    self.introduce(label);
    return slot;
}

bool Slot::take_any() {
    for (index_ = 0; index_ < memory_->max_readers(); ++index_) {
        if (!is_alive(*memory_, index_) && keeper_->try_lock(index_)) return true;
    }
    return false;
}

void Slot::introduce(const std::string& label) {
    base::SlotEntry* entry = this->entry();
    if (entry == nullptr) return;
    // Invalid until the keeper's id is stored, last.
    entry->keeper_tid.store(0, std::memory_order_relaxed);
    base::fence::release();
    entry->pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
    entry->start_time.store(os::process_start_time(), std::memory_order_relaxed);
    entry->wait_kind.store(static_cast<std::uint32_t>(base::WaitKind::futex), std::memory_order_relaxed);
    for (auto* counter : {&entry->messages, &entry->bytes, &entry->losses, &entry->lost_bytes}) {
        counter->store(0, std::memory_order_relaxed);
    }
    for (std::size_t i = 0; i < base::label_size; ++i) {
        const bool within = i < label.size() && i + 1 < base::label_size;
        entry->label[i].store(within ? label[i] : '\0', std::memory_order_relaxed);
    }
    // release: pairs with is_ours.
    entry->keeper_tid.store(keeper_->thread_id(), std::memory_order_release);
}

Slot::~Slot() { give_back(); }

void Slot::give_back() {
    if (is_inherited() || given_back_) return;  // the parent's slot, or somebody else's by now
    if (is_held()) {
        deactivate();
        clear_waiting();
        if (auto* entry = this->entry()) {
            entry->keeper_tid.store(0, std::memory_order_release);
            entry->pid.store(0, std::memory_order_relaxed);
        }
    }
    given_back_ = true;
    // If the word is no longer ours, the keeper's list forgets it, or the next taker would corrupt the list.
    keeper_->unlock(index_);
}

Position Slot::activate(Position position, bool starts_now) {
    if (is_inherited()) return position;
    // Until nobody published between the position that the slot has and the look at the stream's end: else a writer
    // that is at it now may go further than a capacity beyond the former, and the next one would take us for overtaken.
    constexpr int tries = 1000;
    for (int i = 0; i < tries; ++i) {
        shared_.position.store(position, std::memory_order_release);
        // release: pairs with counts_for_backpressure.
        shared_.is_active.store(1, std::memory_order_release);
        // Foreign writers look no further; those of ours look at all slots, if there was an activation.
        widen_active_range(index_, index_ + 1);
        if (auto* extension = memory_->info_extension()) {
            extension->activation_seq.fetch_add(1, std::memory_order_seq_cst);
        }
        // Either the writer that publishes now sees the activation (SlowestReader::has_room, behind its own
        // fence), or we see everything up to where it began.
        base::fence::seq_cst();
        const Position free_pos = memory_->ring().free_pos.load(std::memory_order_acquire);
        if (!starts_now || free_pos == position) break;
        position = free_pos;
    }
    shared_.position.store(position, std::memory_order_release);
    return position;
}

void Slot::settle() const noexcept {
    // A stopped writer does not keep us. Not so many looks: between two of them others may run for long.
    constexpr std::chrono::milliseconds longest{50};
    const base::RingHeader& ring = memory_->ring();
    const std::uint32_t word = os::load_lock_word(ring.writer_mutex);
    const Position free_pos = ring.free_pos.load(std::memory_order_acquire);
    if (!os::is_held(word)) return;
    const auto began = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - began < longest) {
        const std::uint32_t now = os::load_lock_word(ring.writer_mutex);
        if (!os::is_held(now) || os::owner_of(now) != os::owner_of(word)) return;
        if (ring.free_pos.load(std::memory_order_acquire) != free_pos) return;
        sched_yield();
    }
}

void Slot::deactivate() {
    shared_.is_active.store(0, std::memory_order_release);
    narrow_active_range();
    announce_room();
}

void Slot::widen_active_range(std::uint32_t first, std::uint32_t end) noexcept {
    std::atomic<std::uint32_t>& shared = memory_->info().active_range;
    std::uint32_t seen = shared.load(std::memory_order_relaxed);
    std::uint32_t wanted = 0;
    do {
        wanted = std::min(seen >> 16, first) << 16 | std::max(seen & 0xffff, end);
    } while (seen != wanted && !shared.compare_exchange_weak(seen, wanted, std::memory_order_seq_cst));
}

// Stores the exact range, then looks once more: a reader that was activated during the scan either saw the
// narrow range and widened it, or is seen by the second look. Killed in between, the range may be too
// narrow until the next change: a C++ writer would then not wait for that reader; ours scan all slots.
void Slot::narrow_active_range() noexcept {
    std::atomic<std::uint32_t>& shared = memory_->info().active_range;
    const auto scan = [this] {
        std::uint32_t low = memory_->max_readers(), high = 1;
        for (std::uint32_t i = 0; i < memory_->max_readers(); ++i) {
            if (memory_->slot(i).is_active.load(std::memory_order_acquire) == 0) continue;
            low = std::min(low, i);
            high = i + 1;
        }
        return low << 16 | high;
    };
    std::uint32_t seen = shared.load(std::memory_order_seq_cst);
    const std::uint32_t exact = scan();
    if (!shared.compare_exchange_strong(seen, exact, std::memory_order_seq_cst)) return;  // somebody else's turn
    base::fence::seq_cst();
    const std::uint32_t now = scan();
    if (now != exact) widen_active_range(now >> 16, now & 0xffff);
}

void Slot::set_waiting() noexcept {
    if (is_inherited()) return;
    if (auto* extension = memory_->info_extension()) {
        extension->waiting[index_ / 64].fetch_or(std::uint64_t{1} << (index_ % 64), std::memory_order_seq_cst);
    }
}

void Slot::clear_waiting() noexcept {
    if (is_inherited()) return;
    if (auto* extension = memory_->info_extension()) {
        extension->waiting[index_ / 64].fetch_and(~(std::uint64_t{1} << (index_ % 64)), std::memory_order_relaxed);
    }
}

bool Slot::writer_seems_to_wait() const noexcept {
    const auto* extension = memory_->ring_extension();
    return extension != nullptr && os::is_held(os::load_lock_word(extension->room_mutex));
}

void Slot::announce_room() noexcept {
    base::fence::seq_cst();  // pairs with the fence in Room::sequence
    auto* extension = memory_->info_extension();
    if (extension == nullptr || is_inherited() || !writer_seems_to_wait()) return;
    extension->space_seq.fetch_add(1, std::memory_order_release);
    os::futex_wake(extension->space_seq);
}

}  // namespace toroni::ring
