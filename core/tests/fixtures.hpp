// What the tests of the ring share: whole messages in and out, with contents that show a torn one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "blocking.hpp"
#include "check.hpp"
#include "temporary_bus.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/writer.hpp"

namespace fixtures {

using namespace toroni;

struct NoSignals {
    void before_wait() {}
    void after_wait(bool) {}
    blocking::Answer ask(const ring::Batch&) { return blocking::Answer::drop; }
};

inline blocking::WriteResult write_as(const ring::Memory& memory, ring::Writer& writer, const ring::Batch& messages,
                                      const blocking::WriteRequest& request) {
    NoSignals waiter;
    blocking::WriteResult result;
    blocking::write(memory, writer, *blocking::make_notifier(memory.notifier()), messages, request, waiter, result);
    return result;
}

using Bytes = std::vector<std::byte>;

// Bytes that all follow from the first 8: a mixture of two messages does not check.
inline Bytes make_message(std::uint64_t seed, std::size_t size) {
    Bytes bytes(size);
    std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (std::size_t i = 0; i < size; ++i) {
        if (i < 8) bytes[i] = static_cast<std::byte>(seed >> (8 * i));
        else bytes[i] = static_cast<std::byte>((state = state * 6364136223846793005u + size) >> 56);
    }
    return bytes;
}

inline std::uint64_t seed_of(const Bytes& bytes) {
    std::uint64_t seed = 0;
    for (std::size_t i = 0; i < 8; ++i) seed |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return seed;
}

inline bool is_whole(const Bytes& bytes) { return bytes == make_message(seed_of(bytes), bytes.size()); }

// One message, as the policy says. Its position if it was written.
inline std::optional<base::Position> write(const ring::Memory& memory, ring::Writer& writer, const Bytes& bytes,
                                           const blocking::WriteRequest& request = {.overwrite = true}) {
    const ring::Part part{bytes.data(), static_cast<std::uint32_t>(bytes.size())};
    const auto result = write_as(memory, writer, ring::Batch({&part, 1}), request);
    if (result.count == 0) return std::nullopt;
    return result.last;
}

// A message of that many bytes, to ask about.
inline ring::Batch one_of(std::uint32_t size) {
    static thread_local ring::Part part;
    part = {nullptr, size};
    return ring::Batch({&part, 1});
}

struct Received {
    base::Position position;
    Bytes bytes;
};

// Everything that one run gives, or nothing: then `status` says why. A loss is left to the caller.
inline ring::ReadStatus read(ring::Reader& reader, std::vector<Received>& out, std::size_t most = 64) {
    const auto status = reader.begin(most, 1u << 20);
    if (status != ring::ReadStatus::messages) return status;
    std::vector<Received> run;
    for (const auto& frame : reader.frames()) {
        run.push_back({frame.position, Bytes(frame.length)});
        reader.copy(frame, run.back().bytes.data());
    }
    if (!reader.commit()) return ring::ReadStatus::lost;
    for (auto& message : run) out.push_back(std::move(message));
    return status;
}

// A bus, a writer, and messages whose seeds count from 1.
struct Ring {
    explicit Ring(std::uint64_t capacity = 4096, std::uint32_t max_readers = 8)
        : bus(capacity, max_readers), memory(bus.open()), writer(memory) {}
    std::unique_ptr<ring::Reader> reader(ring::Start start = {}) {
        return std::make_unique<ring::Reader>(memory, start, "test");
    }
    std::optional<base::Position> write(std::size_t size, blocking::WriteRequest request = {.may_wait = false}) {
        return fixtures::write(*memory, writer, make_message(next++, size), request);
    }
    TemporaryBus bus;
    std::shared_ptr<ring::Memory> memory;
    ring::Writer writer;
    std::uint64_t next = 1;
};

inline constexpr blocking::WriteRequest overwrite{.may_wait = false, .overwrite = true};
inline constexpr blocking::WriteRequest fail{.may_wait = false};

}  // namespace fixtures
