// What lies between the fields of a mapping, and behind them, made untouchable for AddressSanitizer: it knows of no
// bounds in shared memory, and each of its regions borders on another one that is mapped too.
#pragma once

#include <sanitizer/asan_interface.h>

#include <utility>
#include <vector>

#include "toroni/ring/memory.hpp"

namespace fuzz {

using namespace toroni;

struct Region {
    std::byte* data;
    std::size_t size;
};

// In the order of their addresses.
inline std::vector<Region> regions_of_ring(const ring::Memory& memory) {
    auto* header = reinterpret_cast<std::byte*>(&memory.ring());
    std::vector<Region> regions{{header, offsetof(base::RingHeader, initialized) + 1},
                                {memory.data(), memory.capacity()}};
    if (auto* extension = memory.ring_extension()) {
        regions.push_back({reinterpret_cast<std::byte*>(extension), sizeof *extension});
    }
    return regions;
}

inline std::vector<Region> regions_of_info(const ring::Memory& memory) {
    const std::uint64_t readers = memory.max_readers();
    std::vector<Region> regions{{reinterpret_cast<std::byte*>(&memory.info()), sizeof(base::ReaderInfoHeader)},
                                {reinterpret_cast<std::byte*>(&memory.slot(0)), readers * sizeof(base::ReaderSlot)}};
    if (auto* extension = memory.info_extension()) {
        regions.push_back(
            {reinterpret_cast<std::byte*>(extension), base::reader_info_extension_size(memory.max_readers())});
    }
    return regions;
}

class Guard {
public:
    explicit Guard(const ring::Memory& memory) {
        for (const auto& regions : {regions_of_ring(memory), regions_of_info(memory)}) {
            for (std::size_t i = 0; i < regions.size(); ++i) {
                std::byte* const end = regions[i].data + regions[i].size;
                constexpr std::uintptr_t page = 4096;
                const auto next_page = (reinterpret_cast<std::uintptr_t>(end) + page - 1) / page * page;
                std::byte* const next =
                    i + 1 < regions.size() ? regions[i + 1].data : reinterpret_cast<std::byte*>(next_page);
                gaps_.push_back({end, static_cast<std::size_t>(next - end)});
            }
        }
        for (const Region& gap : gaps_) ASAN_POISON_MEMORY_REGION(gap.data, gap.size);
    }
    ~Guard() {
        for (const Region& gap : gaps_) ASAN_UNPOISON_MEMORY_REGION(gap.data, gap.size);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

private:
    std::vector<Region> gaps_;
};

}  // namespace fuzz
