// The two ends of a notification, one small class for each way that a bus may use. No Python here.
//
//   Notifier   of a process: wakes the readers that sleep
//   Listener   of a reader: sleeps until it is woken, or lends a descriptor to somebody else's event loop
//
// Wake-ups are hints: what was published can be read without them, and a sleeper looks again once a second.
#pragma once

#include <memory>

#include "toroni/os/futex.hpp"
#include "toroni/os/multicast.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/writer.hpp"
#include "watcher.hpp"

namespace toroni::blocking {

class Notifier {
public:
    Notifier() = default;
    virtual ~Notifier() = default;
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;
    // Called after a publication if Writer::somebody_waits(), without any lock.
    virtual void notify(ring::Writer& writer) = 0;
};

class Listener {
public:
    Listener() = default;
    virtual ~Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Blocks until there may be news, at most `timeout`.
    virtual os::FutexResult sleep(ring::Reader& reader, os::Nanoseconds timeout) = 0;
    // Ends a sleep in another thread, if it has begun.
    virtual void interrupt(ring::Reader& reader) = 0;

    // ---- for event loops: when a read has found nothing, arm(); from then on the descriptor becomes readable when
    // there is something, until the next read, which begins with disarm().

    // Made at the first call.
    virtual int descriptor(ring::Reader& reader) = 0;
    // False if there is something to read already.
    [[nodiscard]] bool arm(ring::Reader& reader) {
        if (!lends_) return true;
        armed_ = true;
        start(reader);
        if (!reader.has_news()) return true;
        disarm(reader);
        return false;
    }
    void disarm(ring::Reader& reader) {
        if (armed_) stop(reader);
        armed_ = false;
    }

protected:
    virtual void start(ring::Reader& reader) = 0;
    virtual void stop(ring::Reader& reader) = 0;
    bool lends_ = false;  // descriptor() was called

private:
    bool armed_ = false;
};

// Says in the slot that the reader sleeps, for its lifetime.
class WaitingBit {
public:
    explicit WaitingBit(ring::Reader& reader) : reader_(reader) { reader.set_waiting(); }
    ~WaitingBit() { reader_.clear_waiting(); }
    WaitingBit(const WaitingBit&) = delete;
    WaitingBit& operator=(const WaitingBit&) = delete;

private:
    ring::Reader& reader_;
};

// For all but the application's own. `watchers` are the process's for this bus.
[[nodiscard]] std::unique_ptr<Notifier> make_notifier(const ring::Memory& memory);
[[nodiscard]] std::unique_ptr<Listener> make_listener(const std::shared_ptr<ring::Memory>& memory, Watchers& watchers);

}  // namespace toroni::blocking
