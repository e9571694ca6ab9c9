// Buses of a few sizes that are made once; each input finds one of them as new. Only this process can reach them.
#pragma once

#include <memory>
#include <vector>

#include "guard.hpp"
#include "input.hpp"
#include "temporary_bus.hpp"
#include "toroni/ring/writer.hpp"

namespace fuzz {

class Bus {
public:
    // `role`: of those whose behaviour is looked at. What it may not write it cannot, or this process ends.
    Bus(std::uint64_t capacity, std::uint32_t readers, ring::Role role, bool is_foreign) {
        TemporaryBus bus(capacity, readers);
        hostile_ = bus.open();
        if (is_foreign) {
            hostile_.reset();
            bus.make_foreign("rb", sizeof(base::RingHeader) + capacity);
            bus.make_foreign("ri", sizeof(base::ReaderInfoHeader) + readers * sizeof(base::ReaderSlot));
            hostile_ = bus.open();
        }
        bus.options.role = role;
        ours_ = bus.open();
        keeper_ = hostile_->keeper();
        if (role == ring::Role::reader) our_keeper_ = ours_->keeper();  // not one thread for each input
        for (const auto& regions : {regions_of_ring(*hostile_), regions_of_info(*hostile_)}) {
            for (const Region& region : regions) images_.push_back({region, {region.data, region.data + region.size}});
        }
        guards_.push_back(std::make_unique<Guard>(*hostile_));
        guards_.push_back(std::make_unique<Guard>(*ours_));
    }

    void renew() {
        for (const auto& [region, bytes] : images_) std::memcpy(region.data, bytes.data(), region.size);
    }

    [[nodiscard]] const std::shared_ptr<ring::Memory>& ours() const { return ours_; }
    // The same, with all rights.
    [[nodiscard]] const std::shared_ptr<ring::Memory>& hostile() const { return hostile_; }

private:
    struct Image {
        Region region;
        std::vector<std::byte> bytes;
    };
    std::shared_ptr<ring::Memory> hostile_, ours_;
    std::shared_ptr<os::Keeper> keeper_, our_keeper_;
    std::vector<Image> images_;
    std::vector<std::unique_ptr<Guard>> guards_;
};

// The one that the input asks for.
inline Bus& choose_bus(Input& input, ring::Role role) {
    static auto& buses = *new std::vector<std::unique_ptr<Bus>>;
    if (buses.empty()) {
        for (const std::uint64_t capacity : {64, 1024, 4096}) {
            for (const bool is_foreign : {false, true}) {
                buses.push_back(std::make_unique<Bus>(capacity, capacity == 1024 ? 70 : 3, role, is_foreign));
            }
        }
    }
    Bus& bus = *buses[input.below(buses.size())];
    bus.renew();
    return bus;
}

inline constexpr std::uint32_t longest_body = 8192;

// A message of that many bytes, at most the longest.
inline ring::Published publish(ring::Writer& writer, std::uint32_t size,
                               ring::RoomRule rule = ring::RoomRule::overwrite) {
    static const std::vector<std::byte> body(longest_body, std::byte{0x5a});
    const ring::Part part{body.data(), std::min(size, longest_body)};
    return writer.publish(ring::Batch({&part, 1}), rule);
}

}  // namespace fuzz
