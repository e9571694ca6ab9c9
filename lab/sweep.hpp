// One operation: recorded, then a victim for each instruction that is chosen.
#pragma once

#include <chrono>
#include <optional>

#include "operation.hpp"
#include "shared_bytes.hpp"
#include "survivors_process.hpp"
#include "trace.hpp"

namespace lab {

struct Sample {
    std::size_t kills = 0;  // of each operation; 0: all
    std::uint64_t seed = 0;
    std::optional<std::size_t> instruction{};  // that one only
};

class Sweep {
public:
    Sweep(std::size_t operation, const ring::Options& options, SurvivorsProcess& survivors)
        : operation_(operations()[operation]), index_(operation), options_(options), survivors_(survivors) {}

    // Whether all was right. Prints a line of JSON for each event: begin, progress, failure, end.
    bool run(const Sample& sample);

private:
    struct Killed {
        std::size_t stops = 0;                   // that it came to
        std::optional<std::uint64_t> address{};  // nothing: it took another way, and was killed where that ended
    };
    void record();
    [[nodiscard]] Roomy<std::size_t> choose(const Sample& sample) const;
    void kill_at(std::size_t k);
    [[nodiscard]] std::optional<std::uint64_t> kill_victim(std::size_t k);
    [[nodiscard]] Killed kill_behind(std::span<const std::size_t> stops, std::size_t steps);
    void fail(std::size_t k, std::uint64_t address, const char* what);
    void print_progress(std::size_t done);
    void print_end(std::size_t kills) const;

    using Clock = std::chrono::steady_clock;
    const Operation& operation_;
    std::size_t index_;
    const ring::Options& options_;
    SurvivorsProcess& survivors_;
    std::optional<SharedBytes> shared_;
    Trace trace_;
    Roomy<std::size_t> stores_;     // the instructions that come after one that changed shared bytes
    std::uint64_t messages_ = 0;    // of the victim's, that the last kill left
    std::uint64_t slowest_us_ = 0;  // recovery
    std::size_t failures_ = 0;
    std::size_t elsewhere_ = 0;  // after as many instructions, but at another one than was recorded
    Clock::time_point began_, printed_;
};

}  // namespace lab
