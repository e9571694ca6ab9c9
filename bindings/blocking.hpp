// Waiting, on top of the core's questions: for messages, for the writer mutex, for room. No Python here: the
// caller hands in a Waiter, whose before_wait() is called before anything that may block (it releases the
// GIL), and whose after_wait(bool) after it; that one throws to end the wait, and its argument says whether a
// signal may have come. A writer's has ask(), too, which says what to do about slow readers if the request leaves
// that to the application. None is called with the writer mutex held.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "deadline.hpp"
#include "notifier.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/room.hpp"
#include "toroni/ring/writer.hpp"

namespace toroni::blocking {

// How long a wait goes on without a look at signals, where the system call is not interrupted by them.
inline constexpr Nanoseconds signal_slice{50'000'000};
// A writer killed between publishing and waking leaves sleepers unannounced messages.
inline constexpr Nanoseconds look_again{1'000'000'000};
// Who holds a lock for longer without a sign of progress is stopped, or copies gigabytes.
inline constexpr Nanoseconds longest_copy{1'000'000'000};
// What seems to be progress of others keeps a writer no longer than so many times its patience: bytes that somebody
// scribbles seem to be some, too.
inline constexpr int most_patience = 10;
// A C++ or Java writer holds the writer mutex while it sleeps because of a slow reader.
inline constexpr Nanoseconds longest_foreign_sleep{5'000'000'000};

// The part of wait_for_news that may sleep.
template <class Waiter>
bool wait_long_for_news(ring::Reader& reader, Listener& listener, const Deadline& deadline, Waiter& waiter) {
    Spin& spin = listener.spin;
    const auto began = Clock::now();
    waiter.before_wait();
    if (spin.is_worth_it()) {
        const bool has_come = spin.wait([&] { return reader.seems_to_have_news(); }, deadline.remaining(Spin::longest));
        waiter.after_wait(!has_come);  // a signal that came meanwhile interrupts no sleep
        if (has_come) return true;
    }
    bool has_come = false;
    while (!(has_come = reader.has_news()) && !deadline.has_passed()) {
        waiter.before_wait();
        const auto result = listener.sleep(reader, deadline.remaining(look_again));
        waiter.after_wait(result != os::FutexResult::woken);
    }
    spin.learn(has_come ? Nanoseconds(Clock::now() - began) : Spin::longest);
    return has_come;
}

// Until there is something to read (true), or the deadline has passed (false).
template <class Waiter>
bool wait_for_news(ring::Reader& reader, Listener& listener, const Deadline& deadline, Waiter& waiter) {
    Spin& spin = listener.spin;
    if (!reader.has_news()) {
        if (deadline.has_passed()) return false;
        // A few looks take too short a time to give anything up.
        const bool has_come = spin.is_worth_it() && Spin::look([&] { return reader.seems_to_have_news(); });
        if (!has_come) return wait_long_for_news(reader, listener, deadline, waiter);
    }
    if (spin.is_worth_it()) spin.gather([&] { return reader.stream_end(); });
    return true;
}

// What a request that asks is answered.
enum class Answer {
    retry,      // look again when a reader has made room, or after a moment, and ask again
    overwrite,  // overtake the slow readers
    drop,       // do not write this message, nor those behind it
};

struct WriteRequest {
    bool may_wait = true;                // for room, until the timeout; then `overwrite` says what happens
    bool overwrite = false;              // at once, or after the timeout
    bool sleep = false;                  // for the whole timeout, and again while the slowest reader moves
    bool ask = false;                    // the Waiter
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
    BlockingWrite(const ring::Memory& memory, ring::Writer& writer, Notifier& notifier, const ring::Batch& messages,
                  const WriteRequest& request, Waiter& waiter, WriteResult& result)
        : memory_(memory),
          writer_(writer),
          notifier_(notifier),
          request_(request),
          waiter_(waiter),
          result_(result),
          rest_(&messages),
          room_(memory) {
        if (request.overwrite && !request.may_wait) rule_ = ring::RoomRule::overwrite;
    }

    void run() {
        while (rest_->size() != 0) {
            if (request_.may_wait && !request_.sleep && rule_ == ring::RoomRule::respect && room_.is_others_turn() &&
                room_.holder() != writer_.stalled_turn.load(std::memory_order_relaxed)) {
                queue();
            }
            const std::uint32_t sequence = entered_ ? room_.sequence() : 0;
            if (const auto failed = lock()) {
                result_.status = *failed;
                return;
            }
            const auto published = writer_.publish(*next(), rule_);
            writer_.unlock();
            result_.count += published.count;  // before anything that may throw
            if (published.count != 0) result_.last = published.last;
            const bool has_room = published.status != ring::PublishStatus::no_room;
            // Who is in the way may sleep because somebody was killed before it could announce what it wrote.
            const bool announce = published.anything || (!has_room && !met_backpressure_ && waits());
            if (announce && writer_.somebody_waits()) notifier_.notify(writer_);
            if (published.count == rest_->size()) return;  // mostly
            later_ = rest_->from(published.count);
            rest_ = &later_;
            if (published.count != 0) begin_next();
            if (!has_room && !make_room(published.room_end, sequence)) {
                result_.status = WriteStatus::no_room;
                return;
            }
        }
    }

private:
    // After a wait in vain one message overtakes the slowest reader, which is in nobody's way then; the others are
    // waited for like before.
    [[nodiscard]] const ring::Batch* next() {
        if (rule_ != ring::RoomRule::overwrite || !waits()) return rest_;
        first_ = rest_->first();
        return &first_;
    }
    [[nodiscard]] bool waits() const { return request_.may_wait || request_.ask; }

    // For each publication its own timeout and its own turn.
    void begin_next() {
        deadline_.reset();
        slept_for_.reset();
        met_backpressure_ = false;
        answered_ = false;
        if (waits()) rule_ = ring::RoomRule::respect;
        leave();
    }

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

    // A holder is stalled if for the whole timeout, and no less than `least`, it neither ends nor publishes.
    std::optional<WriteStatus> lock() {
        os::LockResult result = writer_.try_lock();
        if (result == os::LockResult::busy) {
            waiter_.before_wait();
            const bool may_stall = request_.may_wait && request_.timeout && !request_.sleep;
            const auto least = memory_.expects_foreign() ? longest_foreign_sleep : longest_copy;
            const auto patience = may_stall ? std::max(*request_.timeout, least) : least;
            auto progress = writer_.progress();
            Deadline stall(patience);
            const Deadline last(most_patience * std::min(patience, Nanoseconds::max() / most_patience));
            while ((result = writer_.try_lock_for(signal_slice)) == os::LockResult::busy) {
                waiter_.after_wait(true);
                const auto before = std::exchange(progress, writer_.progress());
                if (before != progress) stall = Deadline(patience);
                if (may_stall && (stall.has_passed() || last.has_passed())) return WriteStatus::lock_timeout;
            }
        }
        if (result == os::LockResult::unusable) return WriteStatus::unusable;
        return std::nullopt;
    }

    void leave() {
        room_.leave();
        entered_ = false;
    }

    // False: no room, and that is final.
    bool make_room(base::Position room_end, std::uint32_t sequence) {
        if (!std::exchange(met_backpressure_, true)) writer_.count_backpressure();
        if (request_.ask) return ask(sequence);
        if (!request_.may_wait) return false;
        return request_.sleep ? sleep(room_end) : wait_for_room(sequence);
    }

    // Overtakes who has not moved in all that time. Who has is given it again: other writers may have used the room
    // that it made. (The C++ and Java writers keep them out, by holding the writer mutex while they sleep.)
    bool sleep(base::Position room_end) {
        static const std::atomic<std::uint32_t> nobody_wakes{0};
        if (slept_for_ == room_end) {
            rule_ = ring::RoomRule::overwrite;
            return true;
        }
        slept_for_ = room_end;
        deadline_.reset();
        while (!deadline().has_passed()) {
            waiter_.before_wait();
            os::futex_wait(nobody_wakes, 0, deadline().remaining(signal_slice));
            waiter_.after_wait(true);
        }
        return true;
    }

    // The application is asked without a turn: it may take its time. An answer "retry" waits in turn, once.
    bool ask(std::uint32_t sequence) {
        if (answered_ && entered_) {
            waiter_.before_wait();
            room_.sleep(sequence, ring::Room::slice);
            waiter_.after_wait(true);
            answered_ = false;
            return true;
        }
        leave();
        const Answer answer = waiter_.ask(*rest_);
        if (answer == Answer::overwrite) rule_ = ring::RoomRule::overwrite;
        if (answer != Answer::retry) return answer == Answer::overwrite;
        queue();
        entered_ = answered_ = true;
        return true;
    }

    bool wait_for_room(std::uint32_t sequence) {
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

    const ring::Memory& memory_;
    ring::Writer& writer_;
    Notifier& notifier_;
    const WriteRequest& request_;
    Waiter& waiter_;
    WriteResult& result_;
    // Mostly what was given, and not copied: that would wait for the stores of its parts.
    const ring::Batch* rest_;
    ring::Batch later_;
    ring::Batch first_;
    ring::Room room_;
    std::optional<Deadline> deadline_;
    std::optional<base::Position> slept_for_;
    ring::RoomRule rule_ = ring::RoomRule::respect;
    bool entered_ = false;
    bool met_backpressure_ = false;
    bool answered_ = false;
};

// `messages` stay where they are until the end. `result` says what was written also where the Waiter throws.
template <class Waiter>
void write(const ring::Memory& memory, ring::Writer& writer, Notifier& notifier, const ring::Batch& messages,
           const WriteRequest& request, Waiter& waiter, WriteResult& result) {
    BlockingWrite<Waiter>(memory, writer, notifier, messages, request, waiter, result).run();
}

}  // namespace toroni::blocking
