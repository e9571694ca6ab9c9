// The thread that watches the futex of a bus on behalf of all readers of this process that wait in an event loop: a
// futex cannot be waited for together with descriptors. It runs while one of them waits, and at most a second longer.
// No Python here.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <memory>

#include "toroni/ring/reader.hpp"

namespace toroni::blocking {

class Watcher {
public:
    explicit Watcher(std::shared_ptr<ring::Memory> memory);
    // Ends the thread. In a forked child, where it does not exist, nothing of it is touched.
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    // Writes to the event descriptor as soon as the reader has news, once. The reader has set its waiting bit, and
    // is not used until disarm(). Throws system.
    void arm(const ring::Reader& reader, int event);
    // Whether it was written to.
    bool disarm(const ring::Reader& reader);

    // Whether this process was forked from the one that made it.
    [[nodiscard]] bool is_inherited() const noexcept;

private:
    struct State;
    static void* run(void* state);

    State* state_;
    std::uint32_t generation_;
};

// A process's watcher of one bus: there while a reader uses it.
class Watchers {
public:
    [[nodiscard]] std::shared_ptr<Watcher> get(const std::shared_ptr<ring::Memory>& memory) {
        auto watcher = watcher_.lock();
        if (!watcher || watcher->is_inherited()) watcher_ = watcher = std::make_shared<Watcher>(memory);
        return watcher;
    }

private:
    std::weak_ptr<Watcher> watcher_;
};

}  // namespace toroni::blocking
