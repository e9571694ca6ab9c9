// The two segments of a bus, opened, checked and mapped. Sizes are read from shared memory once, checked
// against the files, and never read from there again.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "toroni/base/layout.hpp"
#include "toroni/os/keeper.hpp"
#include "toroni/os/process.hpp"
#include "toroni/os/segment.hpp"

namespace toroni::ring {

enum class Role { both, reader, writer, observer };

[[nodiscard]] constexpr bool may_write(Role role) noexcept { return role == Role::both || role == Role::writer; }
// Also: hold reader slots.
[[nodiscard]] constexpr bool may_read(Role role) noexcept { return role == Role::both || role == Role::reader; }

struct Options {
    std::string name;
    std::uint64_t capacity = 0;     // bytes; 0: whatever the bus has, or the default
    std::uint32_t max_readers = 0;  // 0: likewise
    mode_t mode = 0600;             // of the ring: who may read, who may write; who may read may hold slots
    Role role = Role::both;
    bool create = true;  // the bus, if there is none; an observer never does
    std::string directory = "/dev/shm";
    std::optional<base::NotifierAddress> notifier{};  // nothing: whatever the bus has, or futex
    std::optional<gid_t> group{};                     // of new files; nothing: the process's
};

inline constexpr std::uint64_t default_capacity = 4u << 20;
inline constexpr std::uint32_t default_max_readers = 64;

class Memory {
public:
    // Opens the bus, or makes it if nobody has and that is wanted. Throws base::Error; `not_ready` means: try again
    // soon.
    static std::shared_ptr<Memory> open(const Options& options);

    // Removes the bus's names; who has it open goes on. False if there was nothing.
    static bool remove(const std::string& name, const std::string& directory = "/dev/shm");

    Memory(os::Segment ring, os::Segment reader_info, const Options& options, std::string ring_path);
    ~Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    [[nodiscard]] std::uint64_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::uint32_t max_readers() const noexcept { return max_readers_; }
    [[nodiscard]] Role role() const noexcept { return role_; }
    [[nodiscard]] bool may_write() const noexcept { return ring::may_write(role_); }
    [[nodiscard]] bool may_read() const noexcept { return ring::may_read(role_); }

    [[nodiscard]] base::RingHeader& ring() const noexcept { return *ring_; }
    [[nodiscard]] std::byte* data() const noexcept { return ring_segment_.data() + sizeof(base::RingHeader); }
    [[nodiscard]] base::RingExtension* ring_extension() const noexcept { return ring_extension_; }

    [[nodiscard]] base::ReaderInfoHeader& info() const noexcept { return *info_; }
    [[nodiscard]] base::ReaderSlot& slot(std::uint32_t index) const noexcept { return slots_[index]; }
    [[nodiscard]] base::ReaderInfoExtension* info_extension() const noexcept { return info_extension_; }
    // Nothing where a foreign process made the segment.
    [[nodiscard]] base::SlotEntry* entry(std::uint32_t index) const noexcept {
        return info_extension_ == nullptr ? nullptr : entries_ + index;
    }

    // Whether foreign processes must be expected: they made one of the segments.
    [[nodiscard]] bool is_foreign() const noexcept { return ring_extension_ == nullptr || info_extension_ == nullptr; }

    // Whether foreign readers and writers may come: they made a segment, or share our way of notification.
    [[nodiscard]] bool expects_foreign() const noexcept {
        return is_foreign() || notifier_.kind == base::NotifierKind::multicast;
    }

    // How this bus wakes readers, as its maker recorded it.
    [[nodiscard]] const base::NotifierAddress& notifier() const noexcept { return notifier_; }

    // Whether the bus's name leads elsewhere by now, or nowhere: whoever opens it does not meet us.
    [[nodiscard]] bool is_unlinked() const { return !ring_segment_.is_at(ring_path_); }

    // The generation of what is created now. acquire: pairs with new_generation.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return info_->reader_gen.load(std::memory_order_acquire);
    }
    // That of a subscription which is made now: all that was created before has a smaller one.
    std::uint64_t new_generation() noexcept { return info_->reader_gen.fetch_add(1, std::memory_order_seq_cst) + 1; }

    // The furthest position that was announced or published. acquire: pairs with Writer's stores of claim_pos
    // and free_pos. claim_pos is loaded first, so that it never seems ahead of a free_pos that is older. One that is
    // 2^63 bytes away, ahead as much as behind, is nonsense and counts as behind.
    [[nodiscard]] base::Position horizon() const noexcept {
        const auto claimed = ring_extension_ == nullptr ? ring_->free_pos.load(std::memory_order_acquire)
                                                        : ring_extension_->claim_pos.load(std::memory_order_acquire);
        return base::later(ring_->free_pos.load(std::memory_order_acquire), claimed);
    }

    // The thread that holds this process's slots, started with its first reader and ended with its last.
    [[nodiscard]] std::shared_ptr<os::Keeper> keeper();

private:
    os::Segment ring_segment_;
    os::Segment info_segment_;
    Role role_;
    std::string ring_path_;
    base::NotifierAddress notifier_;
    std::uint64_t capacity_ = 0;
    std::uint32_t max_readers_ = 0;
    base::RingHeader* ring_ = nullptr;
    base::RingExtension* ring_extension_ = nullptr;
    base::ReaderInfoHeader* info_ = nullptr;
    base::ReaderSlot* slots_ = nullptr;
    base::ReaderInfoExtension* info_extension_ = nullptr;
    base::SlotEntry* entries_ = nullptr;

    struct Keeping {
        std::mutex mutex;
        std::weak_ptr<os::Keeper> keeper;
        std::uint32_t generation = os::fork_generation();
    };
    std::unique_ptr<Keeping> keeping_ = std::make_unique<Keeping>();
};

}  // namespace toroni::ring
