// Readers over a ring of garbage, which changes while they read.
#include "toroni/ring/reader.hpp"
#include "bus.hpp"
#include "toroni/ring/landmarks.hpp"
#include "toroni/ring/tally.hpp"
#include "toroni/topic/message.hpp"

namespace {

using namespace fuzz;
using ring::ReadStatus;

// Looks at topics as the floor above does, and takes every other message.
class TopicFilter : public ring::Filter {
public:
    explicit TopicFilter(const ring::Memory& memory) : memory_(memory) {}
    Verdict judge(const std::byte* body, ring::Frame& frame) override {
        require(body >= memory_.data() && body + frame.length <= memory_.data() + memory_.capacity());
        const auto header = decoder_.decode(body, frame.length);
        if (!header) return Verdict::refuse;
        require(header->size <= frame.length);
        frame.keep(header->size, header->descendants);
        return header->generation % 2 == 0 ? Verdict::take : Verdict::skip;
    }

private:
    const ring::Memory& memory_;
    topic::Decoder decoder_;
};

// In a block of just their size, so that not a byte more is written.
void copy_all(const ring::Reader& reader) {
    for (const ring::Frame& frame : reader.frames()) {
        const auto block = std::make_unique<std::byte[]>(frame.payload());
        reader.copy(frame, block.get());
    }
}

void read(Input& input, const Bus& bus, ring::Reader& reader, TopicFilter* filter) {
    const auto status = reader.begin(input.below(70), 1 + input.below(5000), filter);
    if (status != ReadStatus::messages) {
        require(reader.frames().empty());
        if (status != ReadStatus::empty && status != ReadStatus::skipped) {
            const auto loss = reader.resume(status);
            require(loss.to == reader.position());
        }
        return;
    }
    std::uint64_t bytes = 0;
    for (const ring::Frame& frame : reader.frames()) bytes += base::frame_header_size + frame.length;
    require(bytes <= bus.ours()->capacity());
    if (input.ConsumeBool()) input.scribble_ring(*bus.hostile());
    copy_all(reader);
    if (!reader.commit()) reader.resume(ReadStatus::lost);
}

void look(const Bus& bus, const ring::Reader& reader) {
    static_cast<void>(reader.lag());
    static_cast<void>(reader.has_news());
    static_cast<void>(reader.has_restarted());
    static_cast<void>(ring::find_oldest(*bus.ours()));
}

void become(Input& input, const Bus& bus, std::unique_ptr<ring::Reader>& reader) {
    reader.reset();
    const auto kind = static_cast<ring::StartKind>(input.below(3));
    const ring::Start start{kind, input.near(bus.hostile()->ring().free_pos.load())};
    reader = std::make_unique<ring::Reader>(bus.ours(), start, "fuzzed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    Bus& bus = choose_bus(input, ring::Role::reader);
    ring::Writer writer(bus.hostile());
    std::unique_ptr<ring::Reader> reader;
    TopicFilter filter(*bus.ours());
    const auto most = static_cast<std::uint32_t>(writer.max_body());
    // Each may wait a moment for a writer that holds the mutex, if only by its word.
    int starts = 3;
    for (int i = 0; i < 64 && input.remaining_bytes() != 0; ++i) {
        try {
            switch (input.below(8)) {
                case 0: publish(writer, 1 + static_cast<std::uint32_t>(input.below(most))); break;
                case 1:
                case 2: input.scribble_ring(*bus.hostile()); break;
                case 3: input.scribble_info(*bus.hostile()); break;
                case 4:
                    if (starts-- > 0) become(input, bus, reader);
                    break;
                case 5:
                    if (reader) look(bus, *reader);
                    break;
                case 6:
                    if (reader) reader->set_waiting(), reader->clear_waiting(), reader->pin();
                    break;
                default:
                    if (reader) read(input, bus, *reader, input.ConsumeBool() ? &filter : nullptr);
            }
        } catch (const base::Error& error) {
            const auto code = error.code();
            require(code == base::ErrorCode::invalid_argument || code == base::ErrorCode::slots_exhausted);
        }
    }
    return 0;
}
