// What a bus says of itself and of its readers.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "session.hpp"

namespace toroni::bindings {

namespace nb = nanobind;

struct Statistics {
    std::uint64_t capacity, max_readers, position, claimed;
    std::uint64_t messages, bytes, overwritten, backpressure, notifications, losses;
    std::int32_t lock_holder;
    bool is_foreign, is_unlinked;
    std::optional<double> created;
};

[[nodiscard]] Statistics statistics_of(const Session& session);

// Binds ReaderInfo and Statistics.
void bind_status(nb::module_& module);

}  // namespace toroni::bindings
