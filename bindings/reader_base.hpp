// toroni._core.ReaderBase: a position in a stream, made, used and closed on any threads.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "copies.hpp"
#include "stream_base.hpp"
#include "toroni/ring/reader.hpp"
#include "use_lock.hpp"

namespace toroni::bindings {

class ReaderBase {
public:
    ReaderBase(const StreamBase& stream, nb::handle start, const std::string& label, nb::handle on_loss);
    virtual ~ReaderBase();

    bool wait(std::optional<double> timeout);
    int fileno();
    int duplicate_descriptor();
    void rest();  // who waited for the descriptor does not any more
    void close();

    [[nodiscard]] bool is_closed() const { return closing_.load(); }
    [[nodiscard]] const std::string& label() const { return label_; }
    [[nodiscard]] virtual base::Position position() const;
    [[nodiscard]] std::uint64_t lag() const;
    [[nodiscard]] std::uint64_t lost() const { return lost_bytes_; }
    [[nodiscard]] std::optional<std::uint64_t> lost_messages() const { return lost_messages_; }
    [[nodiscard]] std::optional<base::Position> last_position() const { return last_position_; }

    // For Python's cycle collector: on_loss may lead back to this reader.
    static int traverse(PyObject* self, visitproc visit, void* arg);
    static int clear(PyObject* self);

protected:
    // Inside a method: one thread at a time. At its end finishes a close() that came from a signal handler or on_loss
    // meanwhile.
    class Use {
    public:
        // To read. False if another thread is inside until the deadline. Raises InUse and Closed.
        Use(ReaderBase& reader, const blocking::Deadline& deadline);
        // To change something else; a thread that waits inside for messages lets it in.
        explicit Use(ReaderBase& reader);
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        explicit operator bool() const { return acquired_; }

    private:
        void enter();
        void leave();
        ReaderBase& reader_;
        bool acquired_ = false;
    };

    // The rest is called inside.

    // Waits for a run of messages: true, and they can be looked at and committed. Tells of losses on the way.
    bool next_run(std::size_t most, std::uint64_t most_bytes, const blocking::Deadline& deadline);
    // Reads up to `most` messages: `sink.take(reader)` copies the run that begins, `sink.clear()` forgets it if it was
    // overwritten meanwhile. False if there was none in time.
    template <class Sink>
    bool fetch(std::size_t most, std::uint64_t most_bytes, const blocking::Deadline& deadline, Sink& sink) {
        while (next_run(most, most_bytes, deadline)) {
            sink.take(*reader_);
            if (reader_->commit()) return true;
            sink.clear();
            report_loss(ring::ReadStatus::lost);
            if (deadline.has_passed()) break;
        }
        return false;
    }
    // Goes on behind a loss, and tells of it as on_loss says; returns if reading goes on.
    void report_loss(ring::ReadStatus cause);
    // The same, but returns the exception.
    [[nodiscard]] nb::object take_loss(ring::ReadStatus cause);
    [[nodiscard]] nb::object make_loss_error(const ring::Loss& loss) const { return make_loss(loss, label_); }
    ring::Reader& open_reader();
    [[nodiscard]] bool is_mine() { return lock_.is_mine(); }
    // Whether nobody is inside, it is open, and this is the process that it belongs to. Needs the GIL.
    [[nodiscard]] bool is_free() const { return !lock_.is_taken() && !is_closed() && lock_.is_of_this_process(); }
    [[nodiscard]] const std::shared_ptr<Session>& session() const { return session_; }
    void note_last(base::Position position) { last_position_ = position; }

    // What the topic layer adds.
    virtual ring::Filter* filter() { return nullptr; }
    virtual void stream_restarted() {}
    [[nodiscard]] virtual bool has_pending() const { return false; }  // messages that were fetched ahead
    virtual void check_readable() {}                                  // raises if reading is not allowed now

private:
    bool is_empty_for_good(const blocking::Deadline& deadline);
    void resume(ring::ReadStatus cause);
    void tell_loss();
    void let_go();
    ring::ReadStatus begin(std::size_t most, std::uint64_t most_bytes, bool keep_gil);

    std::string label_;
    nb::object on_loss_;
    std::shared_ptr<Session> session_;  // the ring stays mapped as long as this reader is open
    std::unique_ptr<ring::Reader> reader_;
    std::unique_ptr<blocking::Listener> listener_;
    UseLock lock_;
    std::atomic<bool> closing_{false};
    std::optional<ring::Loss> untold_loss_;
    std::uint64_t lost_bytes_ = 0;
    std::optional<std::uint64_t> lost_messages_ = 0;
    std::optional<base::Position> last_position_;
};

// One run takes no more than this: a reader that is nearly overtaken gets something done, and the next run finds the
// memory of this one's messages in the processor's cache.
inline constexpr std::uint64_t most_bytes_a_run = 128 * 1024;

void bind_reader_base(nb::module_& module);
void bind_raw_reader(nb::module_& module);
void bind_topic_reader(nb::module_& module);

}  // namespace toroni::bindings
