// The two ends of a notification, one small class for each way that a bus may use. No Python here.
//
//   Notifier   of a process: wakes the readers that sleep
//   Listener   of a reader: sleeps until it is woken, or lends a descriptor to somebody else's event loop
//
// Wake-ups are hints: what was published can be read without them, and a sleeper looks again once a second.
#pragma once

#include <memory>

#include "spin.hpp"
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

    Spin spin;

    // ---- for event loops. Whenever the reader is not in use, its descriptor is either readable, or armed: then it
    // becomes readable when there is something to read. A read begins with disarm(); if it finds nothing it ends with
    // arm(), and all ends with settle().

    // Made at the first call, and readable at first: so that nobody waits for what is there already.
    int descriptor();
    // False if there is something to read already.
    [[nodiscard]] bool arm(ring::Reader& reader);
    void disarm(ring::Reader& reader);
    void settle();
    // Who finds the reader in use by another thread waits for that one's settle().
    void quiet();

protected:
    // From start() on the event is signalled when there are news; stop() says whether it was.
    virtual void start(ring::Reader& reader) = 0;
    virtual bool stop(ring::Reader& reader) = 0;
    // A descriptor to be watched beside the event, -1 for none. Asked once.
    virtual int source() { return -1; }
    [[nodiscard]] int event() const noexcept { return event_.get(); }
    [[nodiscard]] bool is_lent() const noexcept { return event_.get() >= 0; }
    // Makes the descriptor readable.
    void signal();

private:
    void drain();
    void listen_to_source(bool listen);

    os::Descriptor event_;  // an eventfd
    os::Descriptor both_;   // an epoll of event and source
    int source_ = -1;
    bool listens_ = true;
    bool armed_ = false;
    bool is_signalled_ = false;
};

// Says in the slot that the reader sleeps, for its lifetime.
class WaitingBit {
public:
    explicit WaitingBit(ring::Reader& reader) : reader_(reader), sequence_(reader.set_waiting()) {}
    ~WaitingBit() { reader_.clear_waiting(); }
    WaitingBit(const WaitingBit&) = delete;
    WaitingBit& operator=(const WaitingBit&) = delete;
    // Of the futex, where that is slept on.
    [[nodiscard]] std::uint32_t sequence() const noexcept { return sequence_; }

private:
    ring::Reader& reader_;
    std::uint32_t sequence_;
};

// For all but the application's own. `watchers` are the process's for this bus.
[[nodiscard]] std::unique_ptr<Notifier> make_notifier(const base::NotifierAddress& address);
[[nodiscard]] std::unique_ptr<Listener> make_listener(const std::shared_ptr<ring::Memory>& memory, Watchers& watchers);

}  // namespace toroni::blocking
