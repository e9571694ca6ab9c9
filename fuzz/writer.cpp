// Writers over garbage: reader info, and what other writers left in the ring.
#include "bus.hpp"
#include "toroni/ring/room.hpp"
#include "toroni/ring/tally.hpp"

namespace {

using namespace fuzz;

// What was written must be there for readers, and announced, whatever stood there before.
void check_published(const ring::Memory& memory, const ring::Published& published, Position before,
                     std::uint32_t size) {
    const Position end = memory.ring().free_pos.load();
    require(end - before <= memory.capacity());
    if (!published.anything) require(end == before && published.count == 0);
    else if (const auto* extension = memory.ring_extension()) {
        const auto ahead = base::distance(end, extension->claim_pos.load());
        require(ahead >= 0 && ahead <= static_cast<std::int64_t>(memory.capacity()));
        const auto count = ring::tally::newest(*extension);
        require(count && count->position == end);
    }
    if (published.count == 0) return;
    const auto frame = ring::step(memory.data(), memory.capacity(), published.last, end);
    require(frame.kind == ring::StepKind::message && frame.length == size && frame.end == end);
}

void write(Input& input, const ring::Memory& memory, ring::Writer& writer) {
    const auto size = 1 + static_cast<std::uint32_t>(input.below(writer.max_body()));
    const auto rule = input.ConsumeBool() ? ring::RoomRule::overwrite : ring::RoomRule::respect;
    if (!os::is_acquired(writer.try_lock())) return;
    for (int i = 0; i < 2; ++i) {  // perhaps padding first
        const Position before = memory.ring().free_pos.load();
        const auto published = publish(writer, size, rule);
        check_published(memory, published, before, size);
        if (published.count != 0 || published.status == ring::PublishStatus::no_room) break;
        require(published.status == ring::PublishStatus::partial);
    }
    writer.unlock();
}

void look(Input& input, const ring::Memory& memory, ring::Writer& writer) {
    if (writer.somebody_waits()) writer.wake_by_futex();
    const ring::Part part{nullptr, 1 + static_cast<std::uint32_t>(input.below(writer.max_body()))};
    for (const auto& readers : {ring::list_readers(memory), writer.readers_in_the_way(ring::Batch({&part, 1}))}) {
        require(readers.size() <= memory.max_readers());
        for (const auto& reader : readers) require(reader.label.size() <= base::label_size && reader.pid >= 0);
        require(ring::describe(readers).empty() == readers.empty());
    }
    static_cast<void>(writer.lock_holder());
    static_cast<void>(writer.progress());
}

void wait(const ring::Memory& memory) {
    ring::Room room(memory);
    if (room.is_others_turn() || !room.enter(os::Nanoseconds{1000})) return;
    room.sleep(room.sequence(), os::Nanoseconds{1000});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    Bus& bus = choose_bus(input, ring::Role::writer);
    ring::Writer writer(bus.ours());
    for (int i = 0; i < 64 && input.remaining_bytes() != 0; ++i) {
        switch (input.below(8)) {
            case 0:
            case 1:
            case 2: input.scribble_info(*bus.hostile()); break;
            case 3: input.scribble_ring(*bus.hostile()); break;
            case 4: look(input, *bus.ours(), writer); break;
            case 5: wait(*bus.ours()); break;
            default: write(input, *bus.ours(), writer);
        }
    }
    return 0;
}
