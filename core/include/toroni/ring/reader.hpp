// Reading messages from the ring: no lock, no store to it, never a wait.
//
// A run is read in two passes. begin() walks the headers, so that the caller knows the lengths before it
// allocates anything; copy() fetches bodies; commit() moves on. After each pass the claim test says whether
// the bytes can have been overwritten while they were read: acquire fence, then the horizon, tested against
// the oldest position that the pass read. If the test fails, nothing of the pass is believed. A header that
// passed the test but makes no sense is damage, which is an error and not loss.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "toroni/base/racing_copy.hpp"
#include "toroni/ring/memory.hpp"
#include "toroni/ring/slot.hpp"

namespace toroni::ring {

struct Frame {
    base::Position position = 0;  // of its header
    std::uint32_t length = 0;     // of its body
    std::uint32_t kept = 0;       // see keep()
    std::uint64_t number = 0;     // what the filter found out
    void* tag = nullptr;          // likewise
    // The filter keeps the first bytes of the body for itself, and finds out a flag. Both are stored at once: who
    // loaded them together soon after two stores would wait for these.
    void keep(std::uint64_t prefix, bool flag) noexcept {
        kept = static_cast<std::uint32_t>(prefix) | (flag ? 1u << 31 : 0);
    }
    [[nodiscard]] std::uint32_t prefix() const noexcept { return kept & ~(1u << 31); }
    [[nodiscard]] bool flag() const noexcept { return (kept & 1u << 31) != 0; }
    [[nodiscard]] std::uint64_t payload() const noexcept { return length - prefix(); }
};

// Where the frames of a run lie in the ring.
class Bodies {
public:
    explicit Bodies(const Memory& memory) noexcept : data_(memory.data()), mask_(memory.capacity() - 1) {}
    [[nodiscard]] const std::byte* payload_of(const Frame& frame) const noexcept {
        return data_ + ((frame.position + base::frame_header_size) & mask_) + frame.prefix();
    }
    void copy(const Frame& frame, std::byte* to) const noexcept {
        base::copy_from_ring(to, payload_of(frame), frame.payload());
    }

private:
    const std::byte* data_;
    std::uint64_t mask_;
};

// What a floor above wants of a message, judged by its body in the ring. That may be changing at this moment: the
// answer counts only if the claim test passes afterwards.
class Filter {
public:
    enum class Verdict {
        take,
        skip,    // nobody here wants it
        refuse,  // no message that this floor can read
    };
    virtual ~Filter() = default;
    // May keep a prefix of the frame's body, and set its flag, number and tag.
    virtual Verdict judge(const std::byte* body, Frame& frame) = 0;
};

enum class ReadStatus {
    messages,   // frames() has at least one
    empty,      // nothing to read
    skipped,    // nothing for the filter up to here, but there may be more: call begin() again
    refused,    // the filter cannot read the next message: call resume()
    lost,       // overtaken by writers: call resume()
    restarted,  // the stream began anew under us: call resume()
    damaged,    // the bytes in the ring are not a stream: call resume()
};

// What a reader missed. It goes on at `to`.
struct Loss {
    ReadStatus cause;
    base::Position from;
    base::Position to;
    std::uint64_t bytes;                    // of the stream, headers and padding included; 0 if restarted
    std::optional<std::uint64_t> messages;  // where they can be counted
};

enum class StartKind { now, oldest, position };

struct Start {
    StartKind kind = StartKind::now;
    base::Position position = 0;
};

class Reader {
public:
    // Takes a slot. Throws slots_exhausted.
    Reader(std::shared_ptr<Memory> memory, Start start, std::string label);
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // Walks at most `max_frames` messages, and stops behind the one that reaches `max_bytes` of payload. Messages that
    // `filter` skips are passed without a look at their payload.
    [[nodiscard]] ReadStatus begin(std::size_t max_frames, std::uint64_t max_bytes, Filter* filter = nullptr);
    [[nodiscard]] std::span<const Frame> frames() const noexcept { return frames_; }
    // Of their payload.
    [[nodiscard]] std::uint64_t run_bytes() const noexcept { return run_bytes_; }
    // To copy them from, or to be shown in place: believed if commit() says so.
    [[nodiscard]] Bodies bodies() const noexcept { return Bodies(*memory_); }
    void copy(const Frame& frame, std::byte* to) const noexcept { bodies().copy(frame, to); }
    // Before a frame is used in place for long: tells writers that everything before it is read.
    void pin() noexcept;
    // Whether all that was copied since begin() is whole; if so the reader stands behind it. Otherwise it
    // stands where it stood, and the copies are to be thrown away: call resume().
    [[nodiscard]] bool commit();

    // Whether the stream began anew under us, which is not a loss.
    [[nodiscard]] bool has_restarted() const noexcept { return !slot_->is_held() && !slot_->is_inherited(); }

    // After lost, restarted, damaged or refused (or a commit that failed): goes on at the stream end, after refused
    // behind that message.
    Loss resume(ReadStatus cause);

    // Where the next frame is looked for.
    [[nodiscard]] base::Position position() const noexcept { return position_; }
    [[nodiscard]] std::uint64_t lag() const noexcept;

    // ---- sleeping: set_waiting(), then has_news(); only if that is false sleep on the sequence that the former gave,
    // and on no later one: writers do not wake again who slept on an earlier one. clear_waiting() after.
    std::uint32_t set_waiting() noexcept;
    // Another thread sleeps for it from now on, on this sequence or an earlier one. Then has_news() as above.
    void note_sleep(std::uint32_t sequence) const noexcept { slot_->note_sleep(sequence); }
    void clear_waiting() noexcept { slot_->clear_waiting(); }
    [[nodiscard]] const std::atomic<std::uint32_t>* wake_word() const noexcept;
    // Whether begin() would not say `empty`.
    [[nodiscard]] bool has_news() const noexcept;

    // The same for somebody who looks again soon, or sleeps only after has_news().
    [[nodiscard]] bool seems_to_have_news() const noexcept { return stream_end() != position_; }
    // As it seems.
    [[nodiscard]] base::Position stream_end() const noexcept {
        return memory_->ring().free_pos.load(std::memory_order_relaxed);
    }

    // In a forked child the slot is the parent's: takes one of its own, at the same position.
    [[nodiscard]] bool is_inherited() const noexcept { return slot_->is_inherited(); }
    void take_own_slot();

    [[nodiscard]] const std::string& label() const noexcept { return label_; }

private:
    [[nodiscard]] ReadStatus walk(std::size_t max_frames, std::uint64_t max_bytes, Filter* filter);
    void activate(base::Position position, bool starts_now);
    [[nodiscard]] bool start_at_oldest();
    void advance(base::Position to);
    void make_room() noexcept;
    [[nodiscard]] base::Position believed_claim() const noexcept;
    void note_stale_claim() noexcept;
    [[nodiscard]] bool is_overtaken() const noexcept;
    void synchronize_count() noexcept;
    void find_count_base() noexcept;
    std::optional<std::uint64_t> find_count() noexcept;

    std::shared_ptr<Memory> memory_;
    std::string label_;
    std::unique_ptr<Slot> slot_;
    base::Position position_ = 0;
    base::Position run_end_ = 0;
    base::Position seen_end_ = 0;   // of the stream, when the run began
    bool trusts_claim_ = false;     // then all that was written had been announced
    base::Position published_ = 0;  // the copy in the slot
    base::Position announced_ = 0;  // where a waiting writer was last told of room
    std::vector<Frame> frames_;
    std::uint64_t run_messages_ = 0;  // between position_ and run_end_, skipped ones included
    std::uint64_t run_bytes_ = 0;     // of the payload of frames_

    std::optional<base::Position> stale_claim_;  // a claim that was left over from before a restart
    std::uint64_t passed_ = 0;                   // messages so far, read or skipped
    std::uint64_t messages_ = 0;                 // read so far
    std::uint64_t bytes_ = 0;                    // of payload, likewise
    struct CountBase {                           // of the stream's messages when this reader had passed none
        std::uint64_t messages;
        std::uint64_t epoch;
    };
    std::optional<CountBase> count_base_;
};

}  // namespace toroni::ring
