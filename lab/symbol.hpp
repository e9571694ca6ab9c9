// The names of instructions, for reports.
#pragma once

#include <cstdint>
#include <string>

namespace lab {

// Function, and file with line or library with offset, as far as they can be found.
[[nodiscard]] std::string describe_instruction(std::uint64_t address);

}  // namespace lab
