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
    // Takes it from a thread that sleeps inside: `interrupt` ends its sleep, and it lets us in.
    template <class Interrupt>
    void acquire_soon(Interrupt&& interrupt) {
        const Wanting wanting(*this);
        while (!acquire(blocking::Deadline(os::Nanoseconds{1'000'000}))) interrupt();
    }

    [[nodiscard]] bool is_wanted() const { return wanted_.load() != 0; }

    // By the thread inside, where nothing is half done: lets those in who want to be soon, then takes its turn again.
    // False, or what acquire() raises: it is outside from then on.
    [[nodiscard]] bool let_in(const blocking::Deadline& deadline) {
        release();
        {
            const ReleasedGil released;  // a woken thread needs longer to come than we to be back
            for (int i = 0; i < 1000 && is_wanted(); ++i) std::this_thread::sleep_for(std::chrono::microseconds{100});
        }
        return acquire(deadline);
    }

    // Needs the GIL.
    [[nodiscard]] bool is_taken() const { return owner_.load() != std::thread::id{}; }

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
    struct Wanting {
        explicit Wanting(UseLock& lock) : of(lock) { of.wanted_.fetch_add(1); }
        ~Wanting() { of.wanted_.fetch_sub(1); }
        Wanting(const Wanting&) = delete;
        Wanting& operator=(const Wanting&) = delete;
        UseLock& of;
    };

    // In a forked child the lock may be held by a thread that does not exist there.
    void forget_parent() {
        if (generation_ == os::fork_generation()) return;
        if (owner_.load() == std::this_thread::get_id()) {  // forked inside: it is still ours
            generation_ = os::fork_generation();
            return;
        }
        generation_ = os::fork_generation();
        wanted_.store(0);
        static_cast<void>(mutex_.release());
        mutex_ = std::make_unique<std::timed_mutex>();
        owner_.store(std::thread::id{});
    }

    std::unique_ptr<std::timed_mutex> mutex_ = std::make_unique<std::timed_mutex>();
    std::atomic<std::thread::id> owner_{};
    std::atomic<int> wanted_{0};
    std::uint32_t generation_ = os::fork_generation();
};

// Waits inside. Ends a wait as soon as `closing` is true; lets others in who want to be soon.
class ReadWaiter : public PythonWaiter {
public:
    struct LeftOutside {};  // thrown when the deadline passed before it was in again

    ReadWaiter(UseLock& lock, const std::atomic<bool>& closing, const blocking::Deadline& deadline)
        : lock_(lock), closing_(closing), deadline_(deadline) {}
    void after_wait(bool maybe_signal) {
        PythonWaiter::after_wait(maybe_signal);
        if (lock_.is_wanted() && !with_gil([&] { return lock_.let_in(deadline_); })) throw LeftOutside{};
        // Perhaps by a signal handler.
        if (closing_.load()) with_gil([] { raise("Closed", "the reader was closed during the wait"); });
    }

private:
    UseLock& lock_;
    const std::atomic<bool>& closing_;
    const blocking::Deadline& deadline_;
};

}  // namespace toroni::bindings
