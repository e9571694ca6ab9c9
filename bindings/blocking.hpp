// Waiting, on top of the core's questions: for messages, for the writer mutex, for room. No Python here: the
// caller hands in a Waiter, whose before_wait() is called before anything that may block (it releases the
// GIL), and whose after_wait(bool) after it; that one throws to end the wait, and its argument says whether a
// signal may have come. Neither is called with the writer mutex held.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <utility>

#include "toroni/ring/reader.hpp"
#include "toroni/ring/room.hpp"
#include "toroni/ring/writer.hpp"

namespace toroni::blocking {

using os::Nanoseconds;
using Clock = std::chrono::steady_clock;

// Nothing: wait for ever.
class Deadline {
public:
    explicit Deadline(std::optional<Nanoseconds> timeout) {
        if (timeout) at_ = Clock::now() + std::min(*timeout, Nanoseconds{std::chrono::hours{24 * 365}});
    }
    [[nodiscard]] bool has_passed() const { return at_ && Clock::now() >= *at_; }
    [[nodiscard]] Nanoseconds remaining(Nanoseconds at_most) const {
        if (!at_) return at_most;
        return std::clamp(std::chrono::duration_cast<Nanoseconds>(*at_ - Clock::now()), Nanoseconds{0}, at_most);
    }

private:
    std::optional<Clock::time_point> at_;
};

// How long a wait goes on without a look at signals, where the system call is not interrupted by them.
inline constexpr Nanoseconds signal_slice{50'000'000};
// A writer killed between publishing and waking leaves sleepers unannounced messages.
inline constexpr Nanoseconds look_again{1'000'000'000};
// Who holds a lock for longer without a sign of progress is stopped, or copies gigabytes.
inline constexpr Nanoseconds longest_copy{1'000'000'000};
// A foreign ring has no word to sleep on.
inline constexpr Nanoseconds foreign_poll{1'000'000};

// Until there is something to read (true), or the deadline has passed (false).
template <class Waiter>
bool wait_for_news(ring::Reader& reader, const Deadline& deadline, Waiter& waiter) {
    static const std::atomic<std::uint32_t> nobody_wakes{0};
    while (!reader.has_news()) {
        if (deadline.has_passed()) return false;
        const std::atomic<std::uint32_t>* word = reader.wake_word();
        auto result = os::FutexResult::woken;
        waiter.before_wait();
        if (word == nullptr) {
            result = os::futex_wait(nobody_wakes, 0, deadline.remaining(foreign_poll));
        } else {
            reader.set_waiting();
            const std::uint32_t sequence = word->load(std::memory_order_acquire);  // pairs with Writer::announce
            if (!reader.has_news()) result = os::futex_wait(*word, sequence, deadline.remaining(look_again));
            reader.clear_waiting();
        }
        waiter.after_wait(result != os::FutexResult::woken);
    }
    return true;
}

struct WriteRequest {
    std::span<const ring::Outgoing> messages;
    bool may_wait = true;                // for room, until the timeout; then overwrite_after says what happens
    bool overwrite = false;              // at once, or after the timeout
    std::optional<Nanoseconds> timeout;  // for room, and for a writer mutex that its holder keeps
};

enum class WriteStatus {
    written,
    no_room,       // and the request does not allow to overwrite
    lock_timeout,  // somebody has held the writer mutex all the time
    unusable,      // the writer mutex is damaged
};

struct WriteResult {
    WriteStatus status = WriteStatus::written;
    std::size_t count = 0;  // messages written
    base::Position last = 0;
};

template <class Waiter>
class BlockingWrite {
public:
    BlockingWrite(const ring::Memory& memory, ring::Writer& writer, const WriteRequest& request, Waiter& waiter)
        : writer_(writer), request_(request), waiter_(waiter), room_(memory) {
        if (request.overwrite && !request.may_wait) rule_ = ring::RoomRule::overwrite;
    }

    WriteResult run() {
        WriteResult result;
        while (result.count < request_.messages.size()) {
            if (request_.may_wait && rule_ == ring::RoomRule::respect && room_.is_others_turn() &&
                room_.holder() != writer_.stalled_turn.load(std::memory_order_relaxed)) {
                queue();
            }
            const std::uint32_t sequence = entered_ ? room_.sequence() : 0;
            if (const auto failed = lock()) {
                result.status = *failed;
                return result;
            }
            const auto published = writer_.publish(request_.messages.subspan(result.count), rule_);
            writer_.unlock();
            if (published.anything) writer_.announce();
            if (published.count != 0) {
                result.count += published.count;
                result.last = published.last;
                deadline_.reset();  // the timeout is that of one publication
                met_backpressure_ = false;
                if (request_.may_wait) rule_ = ring::RoomRule::respect;
                room_.leave();  // for each publication its own turn
                entered_ = false;
            }
            if (published.status == ring::PublishStatus::no_room && !wait_for_room(sequence)) {
                result.status = WriteStatus::no_room;
                return result;
            }
        }
        return result;
    }

private:
    // Begins with the first wait: most writes need no clock.
    const Deadline& deadline() {
        if (!deadline_) deadline_.emplace(request_.timeout);
        return *deadline_;
    }

    // Behind the writers that wait already, however small our message. But a holder of the turn that does not
    // move for a second may be stopped: then on without a turn.
    void queue() {
        waiter_.before_wait();
        writer_.stalled_turn.store(0, std::memory_order_relaxed);
        std::uint32_t holder = room_.holder();
        Deadline stall(longest_copy);
        while (!room_.enter(deadline().remaining(ring::Room::slice))) {
            waiter_.after_wait(true);
            if (stall.has_passed()) writer_.stalled_turn.store(holder, std::memory_order_relaxed);
            if (deadline().has_passed() || stall.has_passed()) return;
            if (room_.holder() != std::exchange(holder, room_.holder())) stall = Deadline(longest_copy);
        }
    }

    // A holder is stalled if for the whole timeout, and no less than a second, it neither ends nor publishes.
    std::optional<WriteStatus> lock() {
        os::LockResult result = writer_.try_lock();
        if (result == os::LockResult::busy) {
            waiter_.before_wait();
            const bool may_stall = request_.may_wait && request_.timeout;
            const auto patience = may_stall ? std::max(*request_.timeout, longest_copy) : longest_copy;
            auto progress = writer_.progress();
            Deadline stall(patience);
            while ((result = writer_.try_lock_for(signal_slice)) == os::LockResult::busy) {
                waiter_.after_wait(true);
                const auto before = std::exchange(progress, writer_.progress());
                if (before != progress) stall = Deadline(patience);
                if (may_stall && stall.has_passed()) return WriteStatus::lock_timeout;
            }
        }
        if (result == os::LockResult::unusable) return WriteStatus::unusable;
        return std::nullopt;
    }

    // False: no room, and that is final.
    bool wait_for_room(std::uint32_t sequence) {
        if (!std::exchange(met_backpressure_, true)) writer_.count_backpressure();
        if (!request_.may_wait) return false;
        if (deadline().has_passed()) {
            rule_ = ring::RoomRule::overwrite;
            return request_.overwrite;
        }
        if (!entered_) {
            queue();  // then look again: what was read of the room is older than our turn
            entered_ = true;
            return true;
        }
        waiter_.before_wait();
        room_.sleep(sequence, deadline().remaining(ring::Room::slice));
        waiter_.after_wait(true);  // readers that keep waking us must not keep signals out
        return true;
    }

    ring::Writer& writer_;
    const WriteRequest& request_;
    Waiter& waiter_;
    ring::Room room_;
    std::optional<Deadline> deadline_;
    ring::RoomRule rule_ = ring::RoomRule::respect;
    bool entered_ = false;
    bool met_backpressure_ = false;
};

template <class Waiter>
WriteResult write(const ring::Memory& memory, ring::Writer& writer, const WriteRequest& request, Waiter& waiter) {
    return BlockingWrite<Waiter>(memory, writer, request, waiter).run();
}

}  // namespace toroni::blocking
