// A fuzzer's input, as what a hostile process writes and in which order we do what.
#pragma once

#include <fuzzer/FuzzedDataProvider.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "toroni/os/lock_word.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/ring/memory.hpp"

namespace fuzz {

using namespace toroni;
using base::Position;

inline void require(bool condition) {
    if (!condition) __builtin_trap();
}

class Input : public FuzzedDataProvider {
public:
    using FuzzedDataProvider::FuzzedDataProvider;

    std::uint64_t below(std::uint64_t bound) { return ConsumeIntegralInRange<std::uint64_t>(0, bound - 1); }

    // Positions that a comparison could get wrong.
    Position near(Position position) {
        switch (below(6)) {
            case 0: return position;
            case 1: return position + static_cast<Position>(ConsumeIntegral<std::int8_t>());
            case 2: return position + static_cast<Position>(ConsumeIntegral<std::int16_t>());
            case 3: return position + (Position{1} << 63) + static_cast<Position>(ConsumeIntegral<std::int8_t>());
            case 4: return ConsumeIntegral<std::uint8_t>();
            default: return ConsumeIntegral<Position>();
        }
    }

    std::uint32_t lock_word() {
        switch (below(4)) {
            case 0: return 0;
            case 1: return FUTEX_OWNER_DIED;
            case 2: return static_cast<std::uint32_t>(gettid());
            default: return ConsumeIntegral<std::uint32_t>();
        }
    }

    void fill(void* at, std::size_t size) {
        if (ConsumeBool()) std::memset(at, ConsumeIntegral<std::uint8_t>(), size);
        else ConsumeData(at, size);  // the rest stays
    }

    // One of the things that a writer could do to the ring. Its mutexes but for their first word are left alone:
    // writers trust writers with what glibc keeps there.
    void scribble_ring(const ring::Memory& memory) {
        const Position end = memory.ring().free_pos.load();
        auto* extension = memory.ring_extension();
        switch (below(extension == nullptr ? 5 : 11)) {
            case 0: memory.ring().free_pos.store(near(end)); break;
            case 1: scribble_data(memory); break;
            case 2: scribble_header(memory); break;
            case 3: *os::lock_word_address(memory.ring().writer_mutex) = lock_word(); break;
            case 4: memory.ring().capacity = ConsumeIntegral<std::uint64_t>(); break;
            case 5:
            case 6: extension->claim_pos.store(near(end)); break;
            case 7: extension->landmarks[below(base::landmark_count)].store(near(end)); break;
            case 8: scribble_count(extension->counts[below(2)], end); break;
            case 9: *os::lock_word_address(extension->room_mutex) = lock_word(); break;
            default: extension->count_epoch.store(ConsumeIntegral<std::uint64_t>());
        }
    }

    // One of the things that a reader could do to the reader info.
    void scribble_info(const ring::Memory& memory) {
        const auto index = static_cast<std::uint32_t>(below(memory.max_readers()));
        base::ReaderSlot& slot = memory.slot(index);
        auto* extension = memory.info_extension();
        switch (below(extension == nullptr ? 5 : 9)) {
            case 0: slot.position.store(near(memory.ring().free_pos.load())); break;
            case 1: slot.is_active.store(ConsumeIntegral<std::uint8_t>()); break;
            case 2: *os::lock_word_address(slot.mutex) = lock_word(); break;
            case 3: fill(&slot, sizeof slot); break;
            case 4: fill(&memory.info(), sizeof(base::ReaderInfoHeader)); break;
            case 5: memory.entry(index)->keeper_tid.store(os::owner_of(os::load_lock_word(slot.mutex))); break;
            case 6: fill(memory.entry(index), sizeof(base::SlotEntry)); break;
            case 7: fill(extension->waiting, sizeof extension->waiting); break;
            default: extension->activation_seq.store(ConsumeIntegral<std::uint64_t>());
        }
    }

private:
    void scribble_data(const ring::Memory& memory) {
        const std::uint64_t index = below(memory.capacity());
        fill(memory.data() + index, std::min<std::uint64_t>(memory.capacity() - index, 1 + below(64)));
    }
    void scribble_header(const ring::Memory& memory) {
        const std::uint64_t index = below(memory.capacity());
        if (memory.capacity() - index < base::frame_header_size) return;
        const auto length = ConsumeBool() ? below(2 * memory.capacity()) : ConsumeIntegral<std::uint32_t>();
        ring::write_header(memory.data() + index, static_cast<base::FrameType>(below(3)), length);
    }
    void scribble_count(base::CountRecord& record, Position end) {
        record.end.store(near(end));
        record.begin.store(ConsumeBool() ? record.end.load() : near(end));
        record.messages.store(ConsumeIntegral<std::uint64_t>());
    }
    void ConsumeData(void* at, std::size_t size) { FuzzedDataProvider::ConsumeData(at, size); }
};

}  // namespace fuzz
