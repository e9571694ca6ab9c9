// What is swept: an operation, the bus that it finds, and what it may leave.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "toroni/ring/memory.hpp"

namespace lab {

using namespace toroni;

using Bytes = std::vector<std::byte>;

inline constexpr std::uint64_t capacity = 4096;
inline constexpr std::uint32_t max_readers = 4;

enum class SteppedThread { main, keeper };

enum class Leftover {
    nothing,
    dead_writer,       // holds the mutex: one message published and not counted, another announced and half written
    dead_reader,       // its slot
    lone_reader_info,  // a maker or remover died between the two files
    stale_ring,        // of another bus than the reader info
};

// The bus that the victim finds.
struct Before {
    bool exists = true;
    base::Position fill_to = 1500;  // where the stream ends
    std::uint64_t unread = 700;     // so many bytes before that end, at least, a live reader stands
    bool has_reader = true;
    bool reader_sleeps = false;
    bool writer_waits = false;   // for room: holds the turn
    bool writer_writes = false;  // holds the mutex
    Leftover leftover = Leftover::nothing;
};

struct Operation {
    const char* name;
    SteppedThread thread = SteppedThread::main;
    Before before{};
    std::vector<std::size_t> sizes{};         // of the victim's messages
    std::vector<std::size_t> publications{};  // how many of them are there after each of its publications
    bool may_overtake = false;                // a reader may have lost something
    void (*perform)(const ring::Options& options) = nullptr;  // sets up, kill_sweep_begin(), operates, kill_sweep_end()
};

[[nodiscard]] std::span<const Operation> operations();

[[nodiscard]] inline std::string path_of(const ring::Options& options, const std::string& suffix) {
    return options.directory + "/toroni-" + options.name + suffix;
}

// Bytes that follow from the seed, each from its place too: a mixture of two messages, or of two places, shows.
[[nodiscard]] inline Bytes contents(std::uint64_t seed, std::size_t size) {
    Bytes bytes(size);
    std::uint64_t state = (seed << 20) + size;
    for (std::byte& byte : bytes) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;  // Marsaglia's xorshift64
        byte = static_cast<std::byte>(state >> 32);
    }
    return bytes;
}

inline constexpr std::uint64_t first_seed_before = 1;
inline constexpr std::uint64_t seed_of_dead_writer = 900;
inline constexpr std::uint64_t first_seed_of_victim = 1000;
inline constexpr std::uint64_t first_seed_after = 2000;

}  // namespace lab
