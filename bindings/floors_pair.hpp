// Floors of two processes: what it takes to tell another one something. The other is a fork that touches nothing but
// the shared words, and ends with its parent.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <vector>

#include "toroni/os/futex.hpp"

namespace toroni::floors {

inline std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Zeros, shared with what is forked from now on.
class SharedMemory {
public:
    explicit SharedMemory(std::size_t size)
        : size_(size), bytes_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (bytes_ == MAP_FAILED) throw std::bad_alloc();
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() { munmap(bytes_, size_); }

    [[nodiscard]] char* bytes() const { return static_cast<char*>(bytes_); }

private:
    std::size_t size_;
    void* bytes_;
};

using Word = std::atomic<std::uint32_t>;

// Each word has a cache line of its own.
struct Words {
    alignas(64) Word there;         // counted up by the parent
    alignas(64) Word back;          // counted up by the child
    alignas(64) std::int64_t sent;  // when the parent counted up `there`; written before that
    alignas(64) std::int64_t took;  // until the child knew; written before `back`
};

// What is waited for for so long will not come: the other process has died.
constexpr std::int64_t PATIENCE = 5'000'000'000;

// Whether the word has left `old`.
inline bool sleep_until_changed(const Word& word, std::uint32_t old) {
    const std::int64_t deadline = now() + PATIENCE;
    while (word.load(std::memory_order_acquire) == old) {  // pairs with count_up
        const std::int64_t rest = deadline - now();
        if (rest <= 0) return false;
        os::futex_wait(word, old, os::Nanoseconds{rest});
    }
    return true;
}

inline bool spin_until_changed(const Word& word, std::uint32_t old) {
    const std::int64_t deadline = now() + PATIENCE;
    for (unsigned turn = 1; word.load(std::memory_order_acquire) == old; ++turn) {  // pairs with count_up
        if (turn % 16'384 != 0) continue;
        if (now() > deadline) return false;
        sched_yield();  // there may be only one processor
    }
    return true;
}

inline void count_up(Word& word, bool wakes) {
    word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_release);  // pairs with *_until_changed
    if (wakes) os::futex_wake(word, 1);
}

// Runs `child` in a fork and `parent` here; both return whether the other answered.
template <class Child, class Parent>
void run_pair(Child child, Parent parent) {
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == self && child() ? 0 : 1);
    }
    const bool answered = parent();
    if (!answered) kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (!answered || status != 0) throw std::runtime_error("the other process of a floor did not answer");
}

// This thread on one processor, as long as this lives; negative: wherever the kernel wants.
class StayOn {
public:
    explicit StayOn(int processor) {
        sched_getaffinity(0, sizeof before_, &before_);
        if (processor < 0) return;
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(static_cast<std::size_t>(processor), &only);
        sched_setaffinity(0, sizeof only, &only);
    }
    ~StayOn() { sched_setaffinity(0, sizeof before_, &before_); }
    StayOn(const StayOn&) = delete;
    StayOn& operator=(const StayOn&) = delete;

private:
    cpu_set_t before_;
};

// Nanoseconds from the moment that a word is changed, on processor `from`, until a process that slept on it on
// processor `to` has seen that, each time.
inline std::vector<std::int64_t> wake(int count, std::int64_t interval, int from, int to) {
    SharedMemory memory(sizeof(Words));
    auto& words = *new (memory.bytes()) Words{};
    std::vector<std::int64_t> took;
    took.reserve(static_cast<std::size_t>(count));
    run_pair(
        [&] {
            const StayOn processor(to);
            for (int time = 0; time < count; ++time) {
                if (!sleep_until_changed(words.there, static_cast<std::uint32_t>(time))) return false;
                words.took = now() - words.sent;
                count_up(words.back, true);
            }
            return true;
        },
        [&] {
            const StayOn processor(from);
            for (int time = 0; time < count; ++time) {
                const timespec pause{0, static_cast<long>(interval)};
                nanosleep(&pause, nullptr);
                words.sent = now();
                count_up(words.there, true);
                if (!sleep_until_changed(words.back, static_cast<std::uint32_t>(time))) return false;
                took.push_back(words.took);
            }
            return true;
        });
    return took;
}

// Half the nanoseconds of each round trip.
inline std::vector<std::int64_t> ping_pong(int count, bool spins) {
    SharedMemory memory(sizeof(Words));
    auto& words = *new (memory.bytes()) Words{};
    const auto wait = spins ? spin_until_changed : sleep_until_changed;
    std::vector<std::int64_t> took;
    took.reserve(static_cast<std::size_t>(count));
    run_pair(
        [&] {
            for (int time = 0; time < count; ++time) {
                if (!wait(words.there, static_cast<std::uint32_t>(time))) return false;
                count_up(words.back, !spins);
            }
            return true;
        },
        [&] {
            for (int time = 0; time < count; ++time) {
                const std::int64_t start = now();
                count_up(words.there, !spins);
                if (!wait(words.back, static_cast<std::uint32_t>(time))) return false;
                took.push_back((now() - start) / 2);
            }
            return true;
        });
    return took;
}

}  // namespace toroni::floors
