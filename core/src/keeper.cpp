#include "toroni/os/keeper.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <utility>
#include <vector>

#include "toroni/base/error.hpp"
#include "toroni/base/fence.hpp"
#include "toroni/os/lock_word.hpp"
#include "toroni/os/process.hpp"
#include "toroni/os/thread.hpp"

namespace toroni::os {

namespace fence = base::fence;

struct Keeper::State {
    // The kernel's structures (linux/futex.h), reached only by the keeper thread and, at its death, the kernel.
    std::vector<std::uint64_t> node_memory;
    robust_list_head head{};
    std::byte* first_lock_word = nullptr;
    std::size_t stride = 0;
    std::uint32_t thread_id = 0;

    // The request in progress, and its answer.
    pthread_t thread{};
    std::mutex callers;  // one caller at a time
    std::mutex mutex;
    std::condition_variable changed;
    Request request = Request::none;
    std::size_t index = 0;
    bool answered = false;
    bool result = false;

    [[nodiscard]] robust_list* node(std::size_t slot) noexcept {
        return reinterpret_cast<robust_list*>(reinterpret_cast<std::byte*>(node_memory.data()) + slot * stride);
    }
    [[nodiscard]] std::uint32_t* word(std::size_t slot) const noexcept {
        return reinterpret_cast<std::uint32_t*>(first_lock_word + slot * stride);
    }
    void begin_operation(robust_list* of) noexcept {
        head.list_op_pending = of;
        fence::compiler();
    }
    void end_operation() noexcept {
        fence::compiler();
        head.list_op_pending = nullptr;
    }
    bool lock(std::size_t slot) noexcept;
    bool unlock(std::size_t slot) noexcept;
    bool unlink(robust_list* gone) noexcept;
    [[nodiscard]] bool is_linked(const robust_list* wanted) const noexcept;
    void unlock_all() noexcept;
};

bool Keeper::State::lock(std::size_t slot) noexcept {
    std::uint32_t seen = __atomic_load_n(word(slot), __ATOMIC_ACQUIRE);
    // A linked node whose word is free: re-initialised by somebody, and not yet noticed by its reader here.
    if (is_held(seen) || is_linked(node(slot))) return false;
    begin_operation(node(slot));
    // acquire: pairs with the release of the previous owner's unlock, or the kernel's mark of its death.
    const std::uint32_t ours = thread_id | (seen & FUTEX_WAITERS);
    const bool locked = __atomic_compare_exchange_n(word(slot), &seen, ours, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    fence::compiler();
    if (locked) {
        node(slot)->next = head.list.next;
        fence::compiler();
        head.list.next = node(slot);
    }
    end_operation();
    return locked;
}

bool Keeper::State::is_linked(const robust_list* wanted) const noexcept {
    const robust_list* at = head.list.next;
    while (at != &head.list && at != wanted) at = at->next;
    return at == wanted;
}

bool Keeper::State::unlink(robust_list* gone) noexcept {
    for (robust_list* at = &head.list; at->next != &head.list; at = at->next) {
        if (at->next == gone) {
            at->next = gone->next;
            return true;
        }
    }
    return false;
}

bool Keeper::State::unlock(std::size_t slot) noexcept {
    begin_operation(node(slot));
    const bool linked = unlink(node(slot));
    fence::compiler();
    std::uint32_t seen = __atomic_load_n(word(slot), __ATOMIC_RELAXED);
    bool unlocked = false;
    while (linked && owner_of(seen) == thread_id && !unlocked) {
        // release: pairs with the acquire of the next owner's lock.
        unlocked = __atomic_compare_exchange_n(word(slot), &seen, 0u, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    }
    if (unlocked && (seen & FUTEX_WAITERS) != 0) syscall(SYS_futex, word(slot), FUTEX_WAKE, 1, nullptr, nullptr, 0);
    end_operation();
    return unlocked;
}

void Keeper::State::unlock_all() noexcept {
    while (head.list.next != &head.list) {
        const auto offset = reinterpret_cast<std::byte*>(head.list.next) - reinterpret_cast<std::byte*>(node(0));
        unlock(static_cast<std::size_t>(offset) / stride);
    }
}

void* Keeper::run(void* argument) {
    State& state = *static_cast<State*>(argument);
    pthread_setname_np(pthread_self(), "toroni-keeper");
    state.thread_id = static_cast<std::uint32_t>(syscall(SYS_gettid));
    // From here on this thread must never lock a glibc robust mutex: its list is ours.
    const long failed = syscall(SYS_set_robust_list, &state.head, sizeof state.head);
    std::unique_lock guard(state.mutex);
    state.result = failed == 0;
    state.answered = true;
    state.changed.notify_all();
    while (failed == 0) {
        state.changed.wait(guard, [&] { return state.request != Request::none; });
        const Request request = std::exchange(state.request, Request::none);
        if (request == Request::lock) state.result = state.lock(state.index);
        if (request == Request::unlock) state.result = state.unlock(state.index);
        if (request == Request::stop) state.unlock_all();
        state.answered = true;
        state.changed.notify_all();
        if (request == Request::stop) break;
    }
    return nullptr;
}

std::unique_ptr<Keeper> Keeper::start(std::uint32_t* first_lock_word, std::size_t stride, std::size_t count) {
    auto state = std::make_unique<State>();
    state->node_memory.resize((count * stride + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t));
    state->first_lock_word = reinterpret_cast<std::byte*>(first_lock_word);
    state->stride = stride;
    state->head.list.next = &state->head.list;
    state->head.futex_offset =
        reinterpret_cast<std::intptr_t>(first_lock_word) - reinterpret_cast<std::intptr_t>(state->node(0));

    state->thread = start_thread(&Keeper::run, state.get(), "holds the reader slots");
    {
        std::unique_lock guard(state->mutex);
        state->changed.wait(guard, [&] { return state->answered; });
    }
    if (!state->result) {
        pthread_join(state->thread, nullptr);
        throw base::Error(base::ErrorCode::system,
                          "the kernel refused a robust list (set_robust_list); is a sandbox in the way?");
    }
    std::unique_ptr<Keeper> keeper(new Keeper);
    keeper->thread_id_ = state->thread_id;
    keeper->generation_ = fork_generation();
    keeper->state_ = state.release();
    return keeper;
}

Keeper::~Keeper() {
    if (is_inherited()) return;  // the thread, its list and its locks are the parent's
    ask(Request::stop, 0);
    pthread_join(state_->thread, nullptr);
    delete state_;
}

bool Keeper::ask(Request request, std::size_t index) {
    if (is_inherited()) return false;
    std::lock_guard one_caller(state_->callers);
    std::unique_lock guard(state_->mutex);
    state_->request = request;
    state_->index = index;
    state_->answered = false;
    state_->changed.notify_all();
    state_->changed.wait(guard, [&] { return state_->answered; });
    return state_->result;
}

bool Keeper::holds(std::size_t index) const noexcept {
    return owner_of(__atomic_load_n(state_->word(index), __ATOMIC_RELAXED)) == thread_id_;
}

bool Keeper::is_inherited() const noexcept { return generation_ != fork_generation(); }

}  // namespace toroni::os
