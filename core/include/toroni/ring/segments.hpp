// The two segments: their bytes when they are made, and what is checked when they are opened.
#pragma once

#include <bit>
#include <string>

#include "toroni/base/layout.hpp"
#include "toroni/os/segment.hpp"
#include "toroni/ring/memory.hpp"

namespace toroni::ring {

[[nodiscard]] constexpr bool is_valid_capacity(std::uint64_t capacity) noexcept {
    return std::has_single_bit(capacity) && capacity >= base::min_capacity && capacity <= base::max_capacity;
}

// What another process may change between two looks is looked at once.
template <class Number>
[[nodiscard]] Number load_once(const Number& shared) {
    return *static_cast<const volatile Number*>(&shared);
}

struct Paths {
    std::string ring;
    std::string reader_info;
};

// Throw `invalid_argument` for a name, sizes that cannot be.
[[nodiscard]] Paths paths_of(const std::string& directory, const std::string& name);
void check_sizes(const Options& options);

// New segments, complete but without a name.
[[nodiscard]] os::Segment make_ring(const Options& options, std::uint64_t bus_id);
[[nodiscard]] os::Segment make_reader_info(const Options& options);

// The extension behind the base format, if the maker was ours and of our version. What the magic says is
// believed only if the file is long enough for it.
[[nodiscard]] base::ExtensionIdentity* find_extension(const os::Segment& segment, std::uint64_t offset,
                                                      std::uint64_t size, const char* magic);

// Throw unless the base header fits the file; `not_ready` where a foreign maker may be about to finish it. Return
// the extension's identity, nothing where there is none.
base::ExtensionIdentity* check_ring(const os::Segment& segment, const std::string& path);
base::ExtensionIdentity* check_reader_info(const os::Segment& segment, const std::string& path);

}  // namespace toroni::ring
