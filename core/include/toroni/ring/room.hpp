// Writers that wait for room: one at a time, in turn, so that small messages cannot starve a large one.
//
// Whoever wants to wait takes room_mutex and keeps it until its message is published or given up; the others
// queue on it, even if their message would fit. Its lock word tells readers that a writer waits. The holder
// sleeps on space_seq; a reader that made room raises it. A reader's death raises nothing: hence the holder
// sleeps in short slices and looks at the lock words again. A killed holder leaves the word owner-died, which
// readers ignore and the next writer takes over.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "toroni/base/fence.hpp"
#include "toroni/os/lock_word.hpp"
#include "toroni/os/robust_mutex.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

class Room {
public:
    static constexpr os::Nanoseconds slice{20'000'000};

    // `memory` outlives it. On a segment without our extension there is no queue: waiters only look again.
    explicit Room(const Memory& memory) noexcept
        : extension_(memory.ring_extension()), info_(memory.info_extension()) {}
    ~Room() { leave(); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    // Whether another live writer waits for room: then it is its turn first.
    [[nodiscard]] bool is_others_turn() const noexcept {
        if (extension_ == nullptr || entered_) return false;
        const std::uint32_t word = os::load_lock_word(extension_->room_mutex);
        return os::is_held(word) && !is_this_thread(word);
    }

    // Takes the turn, within `timeout`. False if somebody else keeps it. A damaged mutex gives no turns: on without.
    [[nodiscard]] bool enter(os::Nanoseconds timeout) noexcept {
        if (extension_ == nullptr || entered_) return true;
        if (is_this_thread(os::load_lock_word(extension_->room_mutex))) return true;
        const os::LockResult result = os::try_lock_for(extension_->room_mutex, timeout);
        entered_ = os::is_acquired(result);
        return entered_ || result == os::LockResult::unusable;
    }

    // Who has the turn: a thread id, 0 for nobody.
    [[nodiscard]] std::uint32_t holder() const noexcept {
        return extension_ == nullptr ? 0 : os::owner_of(os::load_lock_word(extension_->room_mutex));
    }

    // Gives the turn back, and lets those who queue take it before we could want it again: a woken thread needs
    // longer to come than we to write the next message.
    void leave() noexcept {
        if (!entered_) return;
        const bool somebody_queues = (os::load_lock_word(extension_->room_mutex) & FUTEX_WAITERS) != 0;
        os::unlock(extension_->room_mutex);
        entered_ = false;
        constexpr int looks = 100;
        for (int i = 0; somebody_queues && i < looks && holder() == 0; ++i) sched_yield();
    }

    // To be read after enter() and before looking for room, then given to sleep().
    [[nodiscard]] std::uint32_t sequence() const noexcept {
        base::fence::seq_cst();  // pairs with that in Slot::announce_room: the reader sees the lock, or we its position
        return info_ == nullptr ? 0 : info_->space_seq.load(std::memory_order_acquire);
    }

    // Until a reader makes room, or `timeout` (at most a slice) has passed.
    os::FutexResult sleep(std::uint32_t sequence, os::Nanoseconds timeout) const noexcept {
        static const std::atomic<std::uint32_t> nobody_wakes{0};
        timeout = std::min(timeout, slice);
        if (info_ == nullptr) return os::futex_wait(nobody_wakes, 0, std::min(timeout, os::Nanoseconds{1'000'000}));
        return os::futex_wait(info_->space_seq, sequence, timeout);
    }

private:
    // A signal handler that writes while the very same thread waits for room shares its turn.
    static bool is_this_thread(std::uint32_t word) noexcept {
        return os::owner_of(word) != 0 && os::owner_of(word) == static_cast<std::uint32_t>(gettid());
    }

    base::RingExtension* extension_;
    const base::ReaderInfoExtension* info_;
    bool entered_ = false;
};

}  // namespace toroni::ring
