#include "notifier.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "toroni/os/failure.hpp"

namespace toroni::blocking {

namespace {

using os::Nanoseconds;

// How often a reader looks where nobody wakes it.
constexpr Nanoseconds poll_interval{1'000'000};

os::FutexResult poll_descriptor(int descriptor, Nanoseconds timeout) {
    pollfd entry{descriptor, POLLIN, 0};
    const timespec relative{static_cast<time_t>(timeout.count() / 1'000'000'000),
                            static_cast<long>(timeout.count() % 1'000'000'000)};
    const int ready = ppoll(&entry, 1, &relative, nullptr);
    if (ready == 0) return os::FutexResult::timed_out;
    return ready > 0 ? os::FutexResult::woken : os::FutexResult::interrupted;
}

os::MulticastAddress address_of(const base::NotifierAddress& notifier) {
    return {notifier.group, notifier.interface, notifier.port};
}

// ---- futex ------------------------------------------------------------------------------------------------

class FutexNotifier : public Notifier {
    void notify(ring::Writer& writer) override { writer.wake_by_futex(); }
};

class FutexListener : public Listener {
public:
    FutexListener(std::shared_ptr<ring::Memory> memory, Watchers& watchers)
        : memory_(std::move(memory)), watchers_(watchers), word_(memory_->ring_extension()->wake_seq) {}

    os::FutexResult sleep(ring::Reader& reader, Nanoseconds timeout) override {
        const WaitingBit bit(reader);
        const std::uint32_t sequence = word_.load(std::memory_order_acquire);  // pairs with Writer::wake_by_futex
        if (reader.has_news()) return os::FutexResult::woken;
        return os::futex_wait(word_, sequence, timeout);
    }
    void interrupt(ring::Reader&) override { os::futex_wake(word_); }
    int descriptor(ring::Reader&) override {
        if (lends_) return event_.get();
        // Readable at first: who waits before reading looks once for nothing.
        event_ = os::Descriptor(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
        if (event_.get() < 0) os::fail("make an event descriptor");
        watcher_ = watchers_.get(memory_);
        lends_ = true;
        return event_.get();
    }

protected:
    void start(ring::Reader& reader) override {
        eventfd_t count = 0;
        eventfd_read(event_.get(), &count);
        reader.set_waiting();
        watcher_->arm(reader, event_.get());
    }
    void stop(ring::Reader& reader) override {
        watcher_->disarm(reader);
        reader.clear_waiting();
    }

private:
    std::shared_ptr<ring::Memory> memory_;
    Watchers& watchers_;
    const std::atomic<std::uint32_t>& word_;
    os::Descriptor event_;
    std::shared_ptr<Watcher> watcher_;
};

// ---- multicast --------------------------------------------------------------------------------------------

class MulticastNotifier : public Notifier {
public:
    explicit MulticastNotifier(const os::MulticastAddress& address) : sender_(address) {}
    void notify(ring::Writer& writer) override {
        sender_.send();
        writer.count_notification();
    }

private:
    os::MulticastSender sender_;
};

class MulticastListener : public Listener {
public:
    explicit MulticastListener(const os::MulticastAddress& address) : receiver_(address), sender_(address) {}

    os::FutexResult sleep(ring::Reader& reader, Nanoseconds timeout) override {
        const WaitingBit bit(reader);
        receiver_.drain();  // what was announced so far is seen below
        if (reader.has_news()) return os::FutexResult::woken;
        return poll_descriptor(receiver_.descriptor(), timeout);
    }
    void interrupt(ring::Reader&) override { sender_.send(); }
    int descriptor(ring::Reader&) override {
        if (!lends_) sender_.send();  // readable at first, as with a futex
        lends_ = true;
        return receiver_.descriptor();
    }

protected:
    void start(ring::Reader& reader) override {
        reader.set_waiting();
        receiver_.drain();
    }
    void stop(ring::Reader& reader) override { reader.clear_waiting(); }

private:
    os::MulticastReceiver receiver_;
    os::MulticastSender sender_;
};

// ---- poll -------------------------------------------------------------------------------------------------

class PollNotifier : public Notifier {
    void notify(ring::Writer&) override {}
};

class PollListener : public Listener {
public:
    os::FutexResult sleep(ring::Reader& reader, Nanoseconds timeout) override {
        reader.pin();
        return poll_descriptor(-1, std::min(timeout, poll_interval));
    }
    void interrupt(ring::Reader&) override {}
    int descriptor(ring::Reader&) override {
        if (lends_) return timer_.get();
        timer_ = os::Descriptor(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (timer_.get() < 0) os::fail("make a timer descriptor");
        set_timer(1, 0);
        lends_ = true;
        return timer_.get();
    }

protected:
    void start(ring::Reader& reader) override {
        reader.pin();
        set_timer(poll_interval.count(), poll_interval.count());
    }
    void stop(ring::Reader&) override { set_timer(1, 0); }  // stays readable until the next start

private:
    void set_timer(long first, long interval) const {  // nanoseconds
        const itimerspec times{{0, interval}, {0, first}};
        timerfd_settime(timer_.get(), 0, &times, nullptr);
    }
    os::Descriptor timer_;
};

}  // namespace

std::unique_ptr<Notifier> make_notifier(const ring::Memory& memory) {
    const base::NotifierAddress& notifier = memory.notifier();
    if (notifier.kind == base::NotifierKind::multicast) {
        return std::make_unique<MulticastNotifier>(address_of(notifier));
    }
    if (notifier.kind == base::NotifierKind::futex) return std::make_unique<FutexNotifier>();
    return std::make_unique<PollNotifier>();
}

std::unique_ptr<Listener> make_listener(const std::shared_ptr<ring::Memory>& memory, Watchers& watchers) {
    const base::NotifierAddress& notifier = memory->notifier();
    if (notifier.kind == base::NotifierKind::multicast) {
        return std::make_unique<MulticastListener>(address_of(notifier));
    }
    if (notifier.kind == base::NotifierKind::futex && !memory->is_foreign()) {
        return std::make_unique<FutexListener>(memory, watchers);
    }
    return std::make_unique<PollListener>();
}

}  // namespace toroni::blocking
