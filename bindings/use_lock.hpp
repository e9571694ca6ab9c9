// One thread at a time in an object's methods, the others queue with the GIL released. A thread that sleeps inside,
// with nothing half done, lets visitors in: they change something and leave, and it is inside all the time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
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
        if (!state_->mutex.try_lock()) {
            refuse_if_mine();
            ReleasedGil released;
            while (!state_->mutex.try_lock_for(deadline.remaining(blocking::signal_slice))) {
                released.take();
                check_signals();
                forget_parent();  // a handler may have forked
                if (deadline.has_passed()) return false;
                released.give();
            }
        }
        state_->owner.store(std::this_thread::get_id());
        return true;
    }

    // Takes it, or visits the thread that sleeps inside: `interrupt` ends its sleep.
    template <class Interrupt>
    void visit(Interrupt&& interrupt) {
        forget_parent();
        if (state_->mutex.try_lock()) {
            state_->owner.store(std::this_thread::get_id());
            return;
        }
        refuse_if_mine();
        const Wish wish(*this);
        while (true) {
            bool is_owner = false, is_visitor = false;
            {
                const ReleasedGil released;
                is_owner = state_->mutex.try_lock_for(std::chrono::milliseconds{1});
                is_visitor = !is_owner && state_->let_me_in();
            }
            if (is_owner) state_->owner.store(std::this_thread::get_id());
            if (is_visitor) state_->visitor.store(std::this_thread::get_id());
            if (is_owner || is_visitor) return;
            if (interpreter_is_finalizing()) raise("InUse", "this reader is in use by a thread that is no more");
            check_signals();
            forget_parent();
            interrupt();
        }
    }

    // By the thread inside, without the GIL, where nothing is half done.
    void let_visitors_in() const { state_->let_visitors_in(); }

    void release() {
        if (is_visitor()) {
            state_->visitor.store(std::thread::id{});
            state_->see_out();
            return;
        }
        state_->owner.store(std::thread::id{});
        state_->mutex.unlock();
    }

    [[nodiscard]] bool is_mine() {
        forget_parent();
        return state_->owner.load() == std::this_thread::get_id() || is_visitor();
    }
    [[nodiscard]] bool is_visitor() const { return state_->visitor.load() == std::this_thread::get_id(); }
    // Needs the GIL.
    [[nodiscard]] bool is_taken() const { return state_->owner.load() != std::thread::id{}; }
    [[nodiscard]] bool is_of_this_process() const { return generation_ == os::fork_generation(); }

private:
    struct State {
        std::timed_mutex mutex;
        std::atomic<std::thread::id> owner{};
        std::atomic<std::thread::id> visitor{};
        std::atomic<int> wishes{0};  // threads that want to visit

        std::mutex door;  // guards the rest
        std::condition_variable changed;
        bool is_open = false;
        bool is_visited = false;

        bool let_me_in() {
            const std::lock_guard guard(door);
            if (!is_open || is_visited) return false;
            return is_visited = true;
        }
        void see_out() {
            const std::lock_guard guard(door);
            is_visited = false;
            changed.notify_all();
        }
        void let_visitors_in() {
            if (wishes.load() == 0) return;
            constexpr std::chrono::milliseconds patience{20};  // they come within one; a visit takes microseconds
            std::unique_lock guard(door);
            is_open = true;
            changed.wait_for(guard, patience, [&] { return wishes.load() == 0 && !is_visited; });
            is_open = false;
            changed.wait(guard, [&] { return !is_visited; });
        }
    };

    struct Wish {
        explicit Wish(UseLock& lock) : of(lock.state_) { of->wishes.fetch_add(1); }
        ~Wish() { of->wishes.fetch_sub(1); }
        Wish(const Wish&) = delete;
        Wish& operator=(const Wish&) = delete;
        std::shared_ptr<State> of;  // after a fork meanwhile the parent's copy, which nobody looks at
    };

    void refuse_if_mine() {
        if (!is_mine()) return;
        raise("InUse",
              "this reader is in use by the same thread: a signal handler, a finalizer or "
              "an on_loss callback cannot read from it");
    }

    // In a forked child the lock may be held by a thread that does not exist there.
    void forget_parent() {
        if (generation_ == os::fork_generation()) return;
        generation_ = os::fork_generation();
        if (state_->owner.load() == std::this_thread::get_id()) return;  // forked inside: it is still ours
        static_cast<void>(new std::shared_ptr<State>(state_));           // its mutexes are never destroyed
        state_ = std::make_shared<State>();
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
    std::uint32_t generation_ = os::fork_generation();
};

// Waits inside. Ends a wait as soon as `closing` is true; lets visitors in.
class ReadWaiter : public PythonWaiter {
public:
    ReadWaiter(const UseLock& lock, const std::atomic<bool>& closing) : lock_(lock), closing_(closing) {}
    void after_wait(bool maybe_signal) {
        lock_.let_visitors_in();
        PythonWaiter::after_wait(maybe_signal);
        // Perhaps by a signal handler.
        if (closing_.load()) with_gil([] { raise("Closed", "the reader was closed during the wait"); });
    }

private:
    const UseLock& lock_;
    const std::atomic<bool>& closing_;
};

}  // namespace toroni::bindings
