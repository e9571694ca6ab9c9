// The bus around the victim, and what a plain model says is in its stream.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "operation.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/room.hpp"
#include "toroni/ring/writer.hpp"

namespace lab {

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string& otherwise) {
    if (!condition) throw Wrong(otherwise);
}

struct Posted {
    base::Position position;
    Bytes body;
};

// All messages of a bus in their order, as the model has them.
using Stream = std::vector<Posted>;

// A reader, and the index of the message that it is to get next.
struct Follower {
    std::unique_ptr<ring::Reader> reader;
    std::size_t next = 0;
    // Reads to the stream's end and compares. A loss, where it is allowed, must be counted rightly.
    void catch_up(const Stream& stream, bool may_lose);

private:
    void go_on_after_loss(const Stream& stream);
};

class Scene {
public:
    Scene(const Operation& operation, ring::Options options);
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    // Gives back the turn and the mutex, if they were held while the victim lived.
    void let_others_write();

    // One message by a writer that finds the mutex free or its owner dead, and nobody in its way.
    static void post(const ring::Memory& memory, ring::Writer& writer, Stream& stream, const Bytes& body);

    const Operation& operation;
    ring::Options options;
    std::shared_ptr<ring::Memory> memory;  // nothing where there is no bus yet
    std::unique_ptr<ring::Writer> writer;
    Follower follower;  // without a reader where nobody reads
    // Leaves when the victim is dead: who comes then finds a free slot before the dead one's.
    std::unique_ptr<ring::Reader> guest;
    Stream stream;

private:
    void fill();
    void leave_over();
    template <class Action>
    void do_and_die(Action action);
    void let_a_writer_die();

    std::optional<ring::Room> room_;
    bool has_mutex_ = false;
};

}  // namespace lab
