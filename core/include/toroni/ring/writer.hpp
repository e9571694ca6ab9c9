// Writing messages to the ring.
//
//   1. lock writer_mutex; a dead owner's unpublished bytes were never visible: go on behind free_pos
//   2. room for every live reader, or nothing happens
//   3. raise claim_pos to the end of the publication, or some way ahead of it, unless it is there; seq_cst fence
//   4. copy the frames
//   5. store free_pos: published
//   6. landmarks, counts; unlock; wake the readers that sleep
//
// What a kill leaves behind: before 3, nothing. Between 3 and 5, a claim that is too high: readers that far
// behind take themselves for lost although nothing was overwritten (pessimistic, never wrong), and the next
// writer writes over the torn bytes. After 5, the messages whole, perhaps uncounted and unannounced: the next
// writer counts them, and sleepers look again once a second. Between the wake-up and its note in woken_seq: others
// wake once more.
#pragma once

#include <cstddef>
#include <memory>

#include "toroni/base/prefetch.hpp"
#include "toroni/os/robust_mutex.hpp"
#include "toroni/ring/batch.hpp"
#include "toroni/ring/memory.hpp"
#include "toroni/ring/slowest_reader.hpp"

namespace toroni::ring {

class Landmarks;

enum class RoomRule {
    respect,    // never overtake a live reader
    overwrite,  // overtake whoever is in the way; they will be told
};

enum class PublishStatus {
    complete,  // all that was asked for
    partial,   // a publication's worth; go on with the rest
    no_room,   // a live reader is in the way of the next message
};

struct Published {
    PublishStatus status = PublishStatus::complete;
    std::size_t count = 0;        // messages written
    base::Position last = 0;      // position of the last one's frame
    bool anything = false;        // free_pos has moved (perhaps by padding only): notify
    base::Position room_end = 0;  // where `no_room`: as far as the slowest reader lets the stream go
};

class Writer {
public:
    explicit Writer(std::shared_ptr<Memory> memory) : memory_(std::move(memory)) {}

    // The largest body: that of a frame as large as the ring; one byte less where foreign readers may be.
    [[nodiscard]] std::uint64_t max_body() const noexcept {
        return memory_->capacity() - base::frame_header_size - (memory_->expects_foreign() ? 1 : 0);
    }

    // Soon: it lies beside what readers look at, who take it away from this processor's cache.
    void prepare_to_lock() const noexcept { base::prefetch_to_write(&memory_->ring().writer_mutex); }
    [[nodiscard]] os::LockResult try_lock() noexcept { return os::try_lock(memory_->ring().writer_mutex); }
    [[nodiscard]] os::LockResult try_lock_for(os::Nanoseconds timeout) noexcept {
        return os::try_lock_for(memory_->ring().writer_mutex, timeout);
    }
    void unlock() noexcept { os::unlock(memory_->ring().writer_mutex); }

    // Under the lock: writes as many of `messages` as one publication takes. Each body has 1 to max_body()
    // bytes. A frame that needs more than a capacity together with the padding before it takes two calls:
    // the first publishes the padding, so that readers can pass it.
    [[nodiscard]] Published publish(const Batch& messages, RoomRule rule) noexcept;

    // After unlocking: whether a reader sleeps, or may sleep without saying so. Then, and only then, notify.
    [[nodiscard]] bool somebody_waits() const noexcept;
    // Notifies by futex, if the ring has a word for it.
    void wake_by_futex() noexcept;
    // For statistics: a notification was sent.
    void count_notification() noexcept { memory_->ring().notification_count.fetch_add(1, std::memory_order_relaxed); }

    // For statistics: a writer met readers in its way.
    void count_backpressure() noexcept { memory_->ring().backpressure_count.fetch_add(1, std::memory_order_relaxed); }

    // Who is in the way of the first message.
    [[nodiscard]] std::vector<ReaderStatus> readers_in_the_way(const Batch& messages) const;
    // The thread that had the turn to wait for room, and did not move for long: not queued behind again.
    std::atomic<std::uint32_t> stalled_turn{0};

    // What changes as long as the holder of the writer mutex goes on: its thread id, and where the stream is.
    struct Progress {
        std::uint32_t holder;
        base::Position free_pos;
        base::Position claimed;
        bool operator==(const Progress&) const = default;
    };
    [[nodiscard]] Progress progress() const noexcept {
        return {os::owner_of(os::load_lock_word(memory_->ring().writer_mutex)),
                memory_->ring().free_pos.load(std::memory_order_relaxed), memory_->horizon()};
    }
    // The process that holds the writer mutex, 0 if none does.
    [[nodiscard]] std::int32_t lock_holder() const;

private:
    struct Plan;
    [[nodiscard]] Plan plan(const Batch& messages, RoomRule rule, base::Position free_pos) noexcept;
    [[nodiscard]] Plan plan_each(const Batch& messages, RoomRule rule, base::Position free_pos) noexcept;
    [[nodiscard]] bool spans_too_much(base::Position free_pos, base::Position end) noexcept;
    void claim(base::Position free_pos, base::Position end) noexcept;
    base::Position write_frames(const Batch& messages, const Plan& plan, base::Position at,
                                Landmarks& landmarks) noexcept;
    void heal(base::Position free_pos) noexcept;
    [[nodiscard]] bool is_woken(std::uint32_t reader) const noexcept;

    std::shared_ptr<Memory> memory_;
    SlowestReader slowest_;
    base::Position seen_end_ = 0;  // of the stream, when we wrote last
};

}  // namespace toroni::ring
