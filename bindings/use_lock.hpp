// One thread at a time in an object's methods, the others queue with the GIL released.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "blocking.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "python_waiter.hpp"
#include "toroni/os/process.hpp"

namespace toroni::bindings {

class UseLock {
public:
    // False if `deadline` passed. Raises if this very thread is inside already: in a signal handler, a
    // finalizer or an on_loss callback.
    [[nodiscard]] bool acquire(const blocking::Deadline& deadline) {
        forget_parent();
        if (!mutex_->try_lock()) {
            if (is_mine())
                raise("InUse",
                      "this reader is in use by the same thread: a signal handler, a finalizer or "
                      "an on_loss callback cannot read from it");
            ReleasedGil released;
            while (!mutex_->try_lock_for(deadline.remaining(blocking::signal_slice))) {
                released.take();
                check_signals();
                forget_parent();  // a handler may have forked
                if (deadline.has_passed()) return false;
                released.give();
            }
        }
        owner_.store(std::this_thread::get_id());
        return true;
    }

    void release() {
        owner_.store(std::thread::id{});
        mutex_->unlock();
    }

    [[nodiscard]] bool is_mine() {
        forget_parent();
        return owner_.load() == std::this_thread::get_id();
    }

private:
    // In a forked child the lock may be held by a thread that does not exist there.
    void forget_parent() {
        if (generation_ == os::fork_generation()) return;
        if (owner_.load() == std::this_thread::get_id()) {  // forked inside: it is still ours
            generation_ = os::fork_generation();
            return;
        }
        generation_ = os::fork_generation();
        static_cast<void>(mutex_.release());
        mutex_ = std::make_unique<std::timed_mutex>();
        owner_.store(std::thread::id{});
    }

    std::unique_ptr<std::timed_mutex> mutex_ = std::make_unique<std::timed_mutex>();
    std::atomic<std::thread::id> owner_{};
    std::uint32_t generation_ = os::fork_generation();
};

}  // namespace toroni::bindings
