#include "scene.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "toroni/ring/tally.hpp"

namespace lab {

using base::Position;
using ring::ReadStatus;

// ---- a reader and the model -------------------------------------------------------------------------------

void Follower::catch_up(const Stream& stream, bool may_lose) {
    while (true) {
        const ReadStatus status = reader->begin(3, 4 * capacity);
        if (status == ReadStatus::empty) break;
        if (status == ReadStatus::lost && may_lose) {
            go_on_after_loss(stream);
            continue;
        }
        require(status == ReadStatus::messages, "a reader is told status " + std::to_string(static_cast<int>(status)));
        for (const auto& frame : reader->frames()) {
            Bytes body(frame.length);
            reader->copy(frame, body.data());
            require(next < stream.size(), "a reader gets a message that nobody posted");
            require(stream[next].position == frame.position, "a reader misses a message, or gets one twice");
            require(stream[next].body == body, "a reader gets a torn message");
            ++next;
        }
        require(reader->commit(), "a reader is overtaken though nobody writes");
    }
    require(next == stream.size(), "a reader does not get all messages");
}

void Follower::go_on_after_loss(const Stream& stream) {
    const auto loss = reader->resume(ReadStatus::lost);
    std::uint64_t missed = 0;
    for (; next < stream.size() && base::distance(stream[next].position, loss.to) > 0; ++next) ++missed;
    require(loss.messages.has_value(), "a loss cannot be counted");
    require(*loss.messages == missed, "a loss is counted wrongly");
}

// ---- the bus before ---------------------------------------------------------------------------------------

Scene::Scene(const Operation& operation_, ring::Options options_)
    : operation(operation_), options(std::move(options_)) {
    const Before& before = operation.before;
    if (before.exists) {
        memory = ring::Memory::open(options);
        writer = std::make_unique<ring::Writer>(memory);
        if (before.has_reader) follower.reader = std::make_unique<ring::Reader>(memory, ring::Start{}, "survivor");
        fill();
        if (before.has_reader) guest = std::make_unique<ring::Reader>(memory, ring::Start{}, "guest");
    }
    leave_over();
    if (before.reader_sleeps) follower.reader->set_waiting();
    if (before.writer_waits) require(room_.emplace(*memory).enter({}), "the turn to wait is not free");
    if (before.writer_writes) has_mutex_ = os::is_acquired(writer->try_lock());
}

void Scene::let_others_write() {
    if (room_) room_->leave();
    if (std::exchange(has_mutex_, false)) writer->unlock();
}

Scene::~Scene() {
    let_others_write();  // glibc's list of a thread's robust mutexes goes through them: they may not be unmapped before
    for (const char* suffix : {"-rb", "-ri"}) {
        std::error_code ignored;
        std::filesystem::remove(path_of(options, suffix), ignored);
    }
}

void Scene::post(const ring::Memory& memory, ring::Writer& writer, Stream& stream, const Bytes& body) {
    const auto locked = writer.try_lock();
    require(os::is_acquired(locked), "the writer mutex cannot be had: " + std::to_string(static_cast<int>(locked)));
    const ring::Part part{body.data(), static_cast<std::uint32_t>(body.size())};
    const auto published = writer.publish(ring::Batch({&part, 1}), ring::RoomRule::respect);
    writer.unlock();
    require(published.status == ring::PublishStatus::complete, "the dead hold a writer back");
    const Position free_pos = memory.ring().free_pos.load(std::memory_order_relaxed);
    require(published.last + base::frame_header_size + body.size() == free_pos, "a message is published at no place");
    stream.push_back({published.last, body});
}

void Scene::fill() {
    constexpr std::array<std::size_t, 6> sizes{8, 120, 33, 300, 64, 501};
    const auto rest = [&] {
        const auto free_pos = memory->ring().free_pos.load(std::memory_order_relaxed);
        return static_cast<std::uint64_t>(base::distance(free_pos, operation.before.fill_to));
    };
    while (rest() != 0) {
        // The last two end exactly where they shall.
        std::size_t size = rest() - base::frame_header_size;
        if (rest() > 700) size = rest() / 2;
        if (rest() > 1300) size = sizes[stream.size() % sizes.size()];
        post(*memory, *writer, stream, contents(first_seed_before + stream.size(), size));
        if (follower.reader && rest() >= operation.before.unread) follower.catch_up(stream, false);
    }
}

// ---- what others left that died before --------------------------------------------------------------------

// The action ends with the death: what goes out of scope behind it would unmap the lock that the kernel is to mark.
template <class Action>
void Scene::do_and_die(Action action) {
    const pid_t child = fork();
    if (child == 0) action();
    int status = 0;
    require(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "the first victim does not die");
}

void Scene::let_a_writer_die() {
    const Bytes body = contents(seed_of_dead_writer, 111);
    const Position before = memory->ring().free_pos.load(std::memory_order_relaxed);
    do_and_die([&] {
        const auto opened = ring::Memory::open(options);
        ring::Writer other(opened);
        auto& extension = *opened->ring_extension();
        const auto counted = ring::tally::newest(extension);
        Stream ignored;
        post(*opened, other, ignored, body);
        static_cast<void>(other.try_lock());
        for (auto& record : extension.counts) ring::tally::store(record, *counted);
        const Position free_pos = opened->ring().free_pos.load(std::memory_order_relaxed);
        extension.claim_pos.store(free_pos + 500, std::memory_order_relaxed);
        std::memset(opened->data() + (free_pos & (capacity - 1)), 0xee, 300);
        raise(SIGKILL);
    });
    stream.push_back({before, body});
}

void Scene::leave_over() {
    switch (operation.before.leftover) {
        case Leftover::nothing: break;
        case Leftover::dead_writer: let_a_writer_die(); break;
        case Leftover::dead_reader:
            do_and_die([&] {
                ring::Reader reader(ring::Memory::open(options), {}, "dead");
                raise(SIGKILL);
            });
            break;
        case Leftover::lone_reader_info:
        case Leftover::stale_ring: {
            static_cast<void>(ring::Memory::open(options));
            const std::string path = path_of(options, "");
            if (operation.before.leftover == Leftover::stale_ring) {
                std::filesystem::rename(path + "-rb", path + "-kept");
                std::filesystem::remove(path + "-ri");
                static_cast<void>(ring::Memory::open(options));
                std::filesystem::rename(path + "-kept", path + "-rb");
            } else {
                std::filesystem::remove(path + "-rb");
            }
        }
    }
}

}  // namespace lab
