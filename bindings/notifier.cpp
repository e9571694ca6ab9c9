#include "notifier.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "toroni/os/failure.hpp"

namespace toroni::blocking {

int Listener::descriptor() {
    if (is_lent()) return both_.get() >= 0 ? both_.get() : event_.get();
    os::Descriptor event(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    if (event.get() < 0) os::fail("make an event descriptor");
    const int other = source();
    if (is_lent()) return descriptor();  // by another thread meanwhile
    if (other >= 0) {
        os::Descriptor both(epoll_create1(EPOLL_CLOEXEC));
        epoll_event readable{.events = EPOLLIN, .data = {}};
        if (both.get() < 0 || epoll_ctl(both.get(), EPOLL_CTL_ADD, event.get(), &readable) != 0 ||
            epoll_ctl(both.get(), EPOLL_CTL_ADD, other, &readable) != 0) {
            os::fail("watch descriptors");
        }
        both_ = std::move(both);
        source_ = other;
    }
    event_ = std::move(event);
    is_signalled_ = true;
    return descriptor();
}

void Listener::quiet() {
    if (armed_) return;
    listen_to_source(false);
    drain();
}

void Listener::drain() {
    if (!is_signalled_) return;
    eventfd_t count = 0;
    eventfd_read(event_.get(), &count);
    is_signalled_ = false;
}

void Listener::listen_to_source(bool listen) {
    if (source_ < 0 || listens_ == listen) return;
    epoll_event readable{.events = listen ? EPOLLIN : 0u, .data = {}};
    epoll_ctl(both_.get(), EPOLL_CTL_MOD, source_, &readable);
    listens_ = listen;
}

bool Listener::arm(ring::Reader& reader) {
    if (!is_lent()) return true;
    drain();
    listen_to_source(true);
    armed_ = true;
    try {
        start(reader);
    } catch (...) {
        disarm(reader);
        is_signalled_ = false;  // for all we know: settle() makes it readable
        throw;
    }
    if (!reader.has_news()) return true;
    disarm(reader);
    return false;
}

void Listener::disarm(ring::Reader& reader) {
    if (armed_ && stop(reader)) is_signalled_ = true;
    armed_ = false;
}

void Listener::settle() {
    if (is_lent() && !armed_) signal();
}

void Listener::signal() {
    if (!is_signalled_) eventfd_write(event_.get(), 1);
    is_signalled_ = true;
}

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
        : memory_(std::move(memory)), watchers_(watchers) {}

    os::FutexResult sleep(ring::Reader& reader, Nanoseconds timeout) override {
        const WaitingBit bit(reader);
        if (reader.has_news()) return os::FutexResult::woken;
        return os::futex_wait(*reader.wake_word(), bit.sequence(), timeout);
    }
    void interrupt(ring::Reader& reader) override { os::futex_wake(*reader.wake_word()); }

protected:
    void start(ring::Reader& reader) override {
        if (!watcher_) watcher_ = watchers_.get(memory_);
        reader.set_waiting();
        watcher_->arm(reader, event());
    }
    bool stop(ring::Reader& reader) override {
        reader.clear_waiting();
        return watcher_->disarm(reader);
    }

private:
    std::shared_ptr<ring::Memory> memory_;
    Watchers& watchers_;
    std::shared_ptr<Watcher> watcher_;  // from the first wait in an event loop on
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

protected:
    void start(ring::Reader& reader) override {
        reader.set_waiting();
        receiver_.drain();
    }
    bool stop(ring::Reader& reader) override {
        reader.clear_waiting();
        return false;
    }
    int source() override { return receiver_.descriptor(); }

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

protected:
    void start(ring::Reader& reader) override {
        reader.pin();
        set_timer(poll_interval);
    }
    bool stop(ring::Reader&) override {
        set_timer(Nanoseconds{0});
        return false;
    }
    int source() override {
        timer_ = os::Descriptor(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
        if (timer_.get() < 0) os::fail("make a timer descriptor");
        return timer_.get();
    }

private:
    void set_timer(Nanoseconds interval) const {
        const timespec each{0, static_cast<long>(interval.count())};
        const itimerspec times{each, each};
        timerfd_settime(timer_.get(), 0, &times, nullptr);
    }
    os::Descriptor timer_;
};

}  // namespace

std::unique_ptr<Notifier> make_notifier(const base::NotifierAddress& notifier) {
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
