#include "watcher.hpp"

#include <sys/eventfd.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "toroni/os/futex.hpp"
#include "toroni/os/process.hpp"
#include "toroni/os/thread.hpp"

namespace toroni::blocking {

namespace {

// A writer killed between publishing and waking leaves waiting readers unannounced messages.
constexpr os::Nanoseconds look_again{1'000'000'000};

struct Waiting {
    const ring::Reader* reader;
    int event;
};

}  // namespace

struct Watcher::State {
    std::shared_ptr<ring::Memory> memory;
    const std::atomic<std::uint32_t>* word = nullptr;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Waiting> waiting;
    pthread_t thread{};
    bool started = false;  // `thread` is to be joined
    bool running = false;
    bool stop = false;

    void start();
    void call_who_has_news();
};

Watcher::Watcher(std::shared_ptr<ring::Memory> memory) : state_(new State), generation_(os::fork_generation()) {
    state_->word = &memory->ring_extension()->wake_seq;
    state_->memory = std::move(memory);
}

bool Watcher::is_inherited() const noexcept { return generation_ != os::fork_generation(); }

Watcher::~Watcher() {
    if (is_inherited()) return;
    {
        std::unique_lock guard(state_->mutex);
        state_->stop = true;
        while (state_->running) {  // it may be just about to sleep
            state_->changed.notify_all();
            os::futex_wake(*state_->word);
            state_->changed.wait_for(guard, std::chrono::milliseconds{1});
        }
    }
    if (state_->started) pthread_join(state_->thread, nullptr);
    delete state_;
}

void Watcher::State::start() {
    if (started) pthread_join(thread, nullptr);  // has ended
    started = false;
    thread = os::start_thread(&Watcher::run, this, "watches for messages");
    started = running = true;
}

void Watcher::arm(const ring::Reader& reader, int event) {
    std::lock_guard guard(state_->mutex);
    if (!state_->running) state_->start();
    // The thread sleeps on this one, or an earlier one: it loads it under the same mutex.
    reader.note_sleep(state_->word->load(std::memory_order_acquire));
    state_->waiting.push_back({&reader, event});
    if (state_->waiting.size() == 1) state_->changed.notify_all();
}

bool Watcher::disarm(const ring::Reader& reader) {
    if (is_inherited()) return false;
    std::lock_guard guard(state_->mutex);
    return std::erase_if(state_->waiting, [&](const Waiting& entry) { return entry.reader == &reader; }) == 0;
}

void Watcher::State::call_who_has_news() {
    std::erase_if(waiting, [](const Waiting& entry) {
        if (!entry.reader->has_news()) return false;
        eventfd_write(entry.event, 1);
        return true;
    });
}

// Whoever arms after call_who_has_news() looks by itself, and its waiting bit makes the next writer raise the word.
void* Watcher::run(void* argument) {
    State& state = *static_cast<State*>(argument);
    pthread_setname_np(pthread_self(), "toroni-watcher");
    std::unique_lock guard(state.mutex);
    while (!state.stop) {
        if (state.waiting.empty()) {  // not on the futex: it is raised for others
            const auto wanted = [&] { return state.stop || !state.waiting.empty(); };
            if (!state.changed.wait_for(guard, look_again, wanted)) break;
            continue;
        }
        const std::uint32_t sequence = state.word->load(std::memory_order_acquire);  // pairs with wake_by_futex
        for (const Waiting& entry : state.waiting) entry.reader->note_sleep(sequence);
        state.call_who_has_news();
        if (state.waiting.empty()) continue;
        guard.unlock();
        os::futex_wait(*state.word, sequence, look_again);
        guard.lock();
    }
    state.running = false;
    state.changed.notify_all();
    return nullptr;
}

}  // namespace toroni::blocking
