// toroni.Message: topic, data and position. A small immutable type of its own, since it is made millions of times a
// second.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace toroni::bindings {

namespace nb = nanobind;

// A new one; keeps `topic` (str) and `data` (bytes).
[[nodiscard]] nb::object make_message(nb::handle topic, nb::object&& data, std::uint64_t position);

// Of an object made by make_message.
[[nodiscard]] nb::handle topic_of(nb::handle message) noexcept;
[[nodiscard]] nb::handle data_of(nb::handle message) noexcept;
[[nodiscard]] std::uint64_t position_of(nb::handle message) noexcept;

void bind_message(nb::module_& module);

}  // namespace toroni::bindings
