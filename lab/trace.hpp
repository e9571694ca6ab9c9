// The instructions of an operation, recorded once by single steps, and the cheapest way back to each of them.
//
// A single step is a stop, and so is a breakpoint: running on to the next time that an address is executed. From
// instruction p a breakpoint on the address of instruction k leads to k if that address is not executed in between.
// So cost(k) is one stop more than the cheapest p from the previous execution of k's address on: a few stops instead
// of k, but in a loop as many as it has gone around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lab {

constexpr std::size_t most_instructions = 1u << 20;  // of an operation

// Allocated as a mapping of its own, whatever it will hold: the heap that victims inherit is the same before and after.
// The allocator is told once, by keep_heap_still().
template <class Element>
class Roomy : public std::vector<Element> {
public:
    Roomy() { this->reserve(most_instructions); }
};
void keep_heap_still();

class Trace {
public:
    Trace() = default;
    explicit Trace(Roomy<std::uint64_t> addresses);

    // Instructions from the operation's first to behind its last; one could be killed before each of them.
    [[nodiscard]] std::size_t size() const noexcept { return addresses_.size(); }
    [[nodiscard]] std::uint64_t address(std::size_t k) const noexcept { return addresses_[k]; }
    // The instructions to stop at on the way from the first to `k`, `k` included. Valid until the next call.
    [[nodiscard]] std::span<const std::size_t> way_to(std::size_t k);

private:
    Roomy<std::uint64_t> addresses_;
    Roomy<std::size_t> previous_stop_;
    Roomy<std::size_t> way_;
};

}  // namespace lab
