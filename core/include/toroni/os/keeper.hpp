// The thread that holds the slot locks of a process.
//
// A robust lock belongs to a thread: when that thread ends, the kernel marks the owner dead although the
// process lives, and only that thread may unlock. A Python reader is made, used and closed on any threads.
// So one small thread, which does nothing else, holds the locks of all readers of one mapping.
//
// It does so by the kernel's robust-list interface directly and never through a glibc mutex: glibc keeps
// its list pointers inside the shared mutex, where any reader can scribble them (a crash in the owner), and
// where a foreign re-initialisation cuts the list (locks of the dead stay locked). Our list nodes are private
// memory, laid out at the slots' stride, so that one `futex_offset` leads from each node to its lock word:
//
//     private nodes   n0 .......... n1 .......... n2          (stride = sizeof(ReaderSlot))
//                     |             |             |           + futex_offset
//     shared slots    s0.lock ..... s1.lock ..... s2.lock
//
// What a death leaves, at each step of locking (unlocking is the mirror image):
//     before list_op_pending = node    nothing
//     after it, before the swap        the lock word is not ours: the kernel leaves it alone
//     after the swap, before linking   list_op_pending names it: the kernel marks it owner-died
//     after linking                    the list names it: the kernel marks it owner-died
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace toroni::os {

class Keeper {
public:
    // `first_lock_word` and the words behind it, `stride` bytes apart, stay mapped longer than the keeper lives.
    static std::unique_ptr<Keeper> start(std::uint32_t* first_lock_word, std::size_t stride, std::size_t count);

    // Unlocks whatever is still held, ends the thread and joins it. In a forked child, where the thread does
    // not exist, nothing of it is touched.
    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    // Takes lock `index` if it is free or its owner died.
    [[nodiscard]] bool try_lock(std::size_t index) { return ask(Request::lock, index); }
    // Gives it back. If its word is no longer ours (somebody re-initialised the segment), only forgets it.
    void unlock(std::size_t index) { ask(Request::unlock, index); }
    // Whether the lock word still holds this keeper's thread id.
    [[nodiscard]] bool holds(std::size_t index) const noexcept;

    [[nodiscard]] std::uint32_t thread_id() const noexcept { return thread_id_; }
    // Whether this process was forked from the one that started the keeper.
    [[nodiscard]] bool is_inherited() const noexcept;

private:
    enum class Request { none, lock, unlock, stop };
    struct State;  // what the thread uses; leaked in a forked child

    Keeper() = default;
    bool ask(Request request, std::size_t index);
    static void* run(void* state);

    State* state_ = nullptr;
    std::uint32_t thread_id_ = 0;
    std::uint32_t generation_ = 0;
};

}  // namespace toroni::os
