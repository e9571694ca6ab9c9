// toroni._core.Reader: a position in a raw stream, made, used and closed on any threads.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "stream.hpp"
#include "toroni/ring/reader.hpp"
#include "use_lock.hpp"

namespace toroni::bindings {

class Reader {
public:
    Reader(const Stream& stream, nb::handle start, const std::string& label, nb::handle on_loss);

    nb::object read(std::optional<double> timeout);
    nb::object next();
    nb::list read_many(std::size_t most, std::optional<double> timeout, bool with_positions);
    bool wait(std::optional<double> timeout);
    void close();

    [[nodiscard]] bool is_closed() const { return closing_.load(); }
    [[nodiscard]] const std::string& label() const { return label_; }
    [[nodiscard]] base::Position position() const;
    [[nodiscard]] std::uint64_t lag() const;
    [[nodiscard]] std::uint64_t lost() const { return lost_bytes_; }
    [[nodiscard]] std::optional<std::uint64_t> lost_messages() const { return lost_messages_; }
    [[nodiscard]] std::optional<base::Position> last_position() const { return last_position_; }

    // For Python's cycle collector: on_loss may lead back to this reader.
    static int traverse(PyObject* self, visitproc visit, void* arg);
    static int clear(PyObject* self);

private:
    // Reads up to `most` messages and hands each to `take(frame, bytes)`. False if there was none in time.
    template <class Take>
    bool fetch(std::size_t most, const blocking::Deadline& deadline, Take&& take);
    void copy_all(std::vector<nb::object>& bodies) const;
    // Tells of a loss as on_loss says; returns if reading goes on.
    void report_loss(ring::ReadStatus cause);
    void tell_loss();
    ring::Reader& open_reader();

    // Inside a method: releases the lock at its end, and finishes a close() that came from a signal handler or
    // on_loss meanwhile.
    class Use {
    public:
        explicit Use(Reader& reader) : reader_(reader) {}
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

    private:
        Reader& reader_;
    };

    std::string label_;
    nb::object on_loss_;
    std::shared_ptr<Session> session_;  // the ring stays mapped as long as this reader is open
    std::unique_ptr<ring::Reader> reader_;
    UseLock lock_;
    std::atomic<bool> closing_{false};
    std::optional<ring::Loss> untold_loss_;
    std::uint64_t lost_bytes_ = 0;
    std::optional<std::uint64_t> lost_messages_ = 0;
    std::optional<base::Position> last_position_;
};

void bind_reader(nb::module_& module);

}  // namespace toroni::bindings
