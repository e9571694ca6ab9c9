#include "survivors.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"

namespace lab {

using base::Position;
using ring::Memory;

namespace {

Position free_pos_of(const Memory& memory) { return memory.ring().free_pos.load(std::memory_order_acquire); }

// ---- the stream -------------------------------------------------------------------------------------------

void check_positions(const Memory& memory) {
    const Position claimed = memory.ring_extension()->claim_pos.load(std::memory_order_acquire);
    require(base::distance(free_pos_of(memory), claimed) >= 0, "claim_pos is behind free_pos");
}

// The messages from the model's end to the ring's: the victim's first ones, whole, in order, by whole publications.
std::size_t find_messages_of_victim(const Operation& operation, const Memory& memory, Position from, Stream& stream) {
    std::size_t count = 0;
    const Position end = free_pos_of(memory);
    Position at = from;
    // A message of more than half the ring overwrites the padding before it.
    if (base::is_lost(at, memory.horizon(), memory.capacity())) at += ring::bytes_to_ring_end(at, memory.capacity());
    while (at != end) {
        const ring::Step frame = ring::step(memory.data(), memory.capacity(), at, end);
        require(frame.kind != ring::StepKind::damage, "the stream is damaged");
        at = frame.end;
        if (frame.kind == ring::StepKind::padding) continue;
        require(count < operation.sizes.size(), "there are more messages than were posted");
        const Position position = frame.end - frame.length - base::frame_header_size;
        const std::byte* body = memory.data() + ((frame.end - frame.length) & (memory.capacity() - 1));
        const Bytes wanted = contents(first_seed_of_victim + count, operation.sizes[count]);
        require(Bytes(body, body + frame.length) == wanted, "a published message is torn");
        stream.push_back({position, wanted});
        ++count;
    }
    const auto& whole = operation.publications;
    require(count == 0 || std::find(whole.begin(), whole.end(), count) != whole.end(), "half a publication is there");
    return count;
}

void check_count(const Memory& memory, const Stream& stream) {
    const auto count = ring::tally::newest(*memory.ring_extension());
    std::uint64_t bytes = 0;
    for (const Posted& message : stream) bytes += message.body.size();
    require(count && count->position == free_pos_of(memory), "the count is not at the stream end");
    require(count->messages == stream.size() && count->bytes == bytes, "messages are counted wrongly");
}

// Each landmark of a message that can still be read names one.
void check_landmarks(const Memory& memory, const Stream& stream) {
    for (const auto& shared : memory.ring_extension()->landmarks) {
        const Position landmark = shared.load(std::memory_order_relaxed);
        if (base::distance(landmark, free_pos_of(memory)) <= 0) continue;
        if (base::is_lost(landmark, memory.horizon(), memory.capacity())) continue;
        const auto is_there = [&](const Posted& message) { return message.position == landmark; };
        const bool is_of_a_message = std::any_of(stream.begin(), stream.end(), is_there);
        require(is_of_a_message || (landmark == 0 && !stream.empty()), "a landmark names no message");
    }
}

// A reader of history: a suffix of the stream, without a gap, that leaves out no more than a landmark's distance of
// what cannot have been overwritten, and `slack` bytes of messages that have no landmark.
Follower follow_history(const std::shared_ptr<Memory>& memory, const Stream& stream, std::uint64_t slack) {
    Follower follower{std::make_unique<ring::Reader>(memory, ring::Start{ring::StartKind::oldest}, "historian")};
    const auto is_before = [&](const Posted& message, Position position) {
        return base::distance(message.position, position) > 0;
    };
    const Position start = follower.reader->position();
    const auto first = std::lower_bound(stream.begin(), stream.end(), start, is_before);
    follower.next = static_cast<std::size_t>(first - stream.begin());
    const Position horizon = memory->horizon();
    const auto intact = std::find_if(stream.begin(), stream.end(), [&](const Posted& message) {
        return !base::is_lost(message.position, horizon, memory->capacity());
    });
    if (intact != stream.end()) {
        const std::uint64_t own = intact->body.size() + base::frame_header_size;
        const Position latest = intact->position + own + memory->capacity() / base::landmark_count + slack;
        require(base::distance(start, latest) >= 0, "history is forgotten");
    }
    follower.catch_up(stream, false);
    return follower;
}

// ---- those who come after ---------------------------------------------------------------------------------

// Opens, or makes, the bus. What a dead maker or remover left is cleared away by the first who comes.
std::shared_ptr<Memory> open_soon(const ring::Options& options) {
    constexpr int tries = 3;
    for (int i = 1;; ++i) {
        try {
            return Memory::open(options);
        } catch (const base::Error& error) {
            if (error.code() != base::ErrorCode::not_ready || i == tries) throw;
        }
    }
}

void check_turn(const Memory& memory) {
    ring::Room room(memory);
    require(!room.is_others_turn(), "the dead keep the turn to wait for room");
    require(room.enter(os::Nanoseconds{0}), "the turn to wait for room cannot be had");
}

class Newcomers {
public:
    Newcomers(std::shared_ptr<Memory> memory, Stream stream, Follower* old, bool may_lose)
        : memory_(std::move(memory)), writer_(memory_), stream_(std::move(stream)), old_(old), may_lose_(may_lose) {}

    void run(std::uint64_t slack) {
        require(!writer_.somebody_waits(), "writers would wake the dead");
        followers_.push_back(follow_history(memory_, stream_, slack));
        for (const std::size_t size : {20u, 300u, 64u}) post(size);
        catch_up();
        check_count(*memory_, stream_);
        check_positions(*memory_);
        check_landmarks(*memory_, stream_);
        check_turn(*memory_);
        pass_the_dead();
        take_all_slots();
        post(77);
        catch_up();
        check_active_range();
        leave();
        for (std::uint64_t sent = 0; sent < 2 * memory_->capacity(); sent += 450) post(450);
        check_count(*memory_, stream_);
        check_landmarks(*memory_, stream_);
        followers_.push_back(follow_history(memory_, stream_, 0));
    }

private:
    void post(std::size_t size) {
        Scene::post(*memory_, writer_, stream_, contents(first_seed_after + stream_.size(), size));
    }
    void catch_up() {
        if (old_ != nullptr) old_->catch_up(stream_, may_lose_);
        for (Follower& follower : followers_) follower.catch_up(stream_, false);
    }
    // While the dead one's slot is nobody else's: a ring's worth, that the living read.
    void pass_the_dead() {
        for (std::uint64_t sent = 0; sent < memory_->capacity(); sent += 450) {
            post(450);
            catch_up();
        }
    }
    // The dead one's, too.
    void take_all_slots() {
        const std::size_t free = memory_->max_readers() - followers_.size() - (old_ != nullptr ? 1 : 0);
        for (std::size_t i = 0; i < free; ++i) {
            auto reader = std::make_unique<ring::Reader>(memory_, ring::Start{}, "newcomer");
            followers_.push_back({std::move(reader), stream_.size()});
        }
        const auto holders = ring::list_readers(*memory_);
        require(holders.size() == memory_->max_readers(), "there are more slots than readers");
        for (const auto& holder : holders) {
            require(holder.alive && holder.active && !holder.foreign && !holder.waiting, "a slot is not its reader's");
        }
        try {
            const ring::Reader one_more(memory_, {}, "one more");
            throw Wrong("there is one slot too many");
        } catch (const base::Error& error) {
            require(error.code() == base::ErrorCode::slots_exhausted, "another error than slots_exhausted");
        }
    }
    void check_active_range() const {
        const std::uint32_t range = memory_->info().active_range.load(std::memory_order_relaxed);
        require(range >> 16 == 0 && (range & 0xffff) == memory_->max_readers(), "active_range leaves readers out");
    }
    void leave() {
        followers_.clear();
        if (old_ != nullptr) old_->reader.reset();
        require(ring::list_readers(*memory_).empty(), "a slot is not given back");
    }

    std::shared_ptr<Memory> memory_;
    ring::Writer writer_;
    Stream stream_;
    Follower* old_;
    bool may_lose_;
    std::vector<Follower> followers_{};
};

// ---- all --------------------------------------------------------------------------------------------------

void check_nothing_stays(const ring::Options& options) {
    struct stat status{};
    require(Memory::remove(options.name, options.directory), "the bus cannot be removed");
    for (const char* suffix : {"-rb", "-ri"}) {
        const std::string path = path_of(options, suffix);
        require(lstat(path.c_str(), &status) != 0, "a file stays");
    }
}

// Whatever the victim announced is announced still.
void post_first(Scene& scene) {
    const auto& claim_pos = scene.memory->ring_extension()->claim_pos;
    const Position claimed = claim_pos.load(std::memory_order_relaxed);
    Scene::post(*scene.memory, *scene.writer, scene.stream, contents(first_seed_after, 30));
    require(base::distance(claimed, claim_pos.load(std::memory_order_relaxed)) >= 0, "claim_pos is lowered");
}

// Whoever has it open, though it may have been removed: what is there, and that they go on.
std::size_t examine_old(Scene& scene) {
    check_positions(*scene.memory);
    const Stream& stream = scene.stream;
    const Position end = stream.back().position + stream.back().body.size() + base::frame_header_size;
    const auto count = find_messages_of_victim(scene.operation, *scene.memory, end, scene.stream);
    scene.let_others_write();
    scene.guest.reset();
    if (scene.follower.reader) {
        scene.follower.reader->clear_waiting();
        scene.follower.catch_up(scene.stream, scene.operation.may_overtake);
    }
    return count;
}

}  // namespace

std::size_t examine(Scene& scene) {
    const std::size_t count = scene.memory ? examine_old(scene) : 0;
    auto memory = open_soon(scene.options);
    const bool is_same = scene.memory && !scene.memory->is_unlinked();
    std::uint64_t unmarked = 0;
    for (const std::size_t size : scene.operation.sizes) unmarked += size + base::frame_header_size;
    if (is_same) follow_history(memory, scene.stream, unmarked);  // as the dead left it
    if (scene.memory) post_first(scene);
    if (scene.follower.reader) scene.follower.catch_up(scene.stream, scene.operation.may_overtake);
    Follower* old = is_same && scene.follower.reader ? &scene.follower : nullptr;
    Newcomers(memory, is_same ? scene.stream : Stream{}, old, scene.operation.may_overtake).run(unmarked);
    check_nothing_stays(scene.options);
    return count;
}

}  // namespace lab
