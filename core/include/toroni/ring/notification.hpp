// Which way of notification a bus uses, and whether that is the one asked for.
#pragma once

#include <optional>
#include <string>

#include "toroni/base/layout.hpp"

namespace toroni::ring {

// What C++ and Java processes use: 224.1.1.1, port 3334, on 127.0.0.1.
inline constexpr base::NotifierAddress default_multicast{
    .kind = base::NotifierKind::multicast, .group = 0x010101e0, .interface = 0x0100007f, .port = 0x060d};

[[nodiscard]] constexpr bool is_known(base::NotifierKind kind) noexcept {
    return kind >= base::NotifierKind::futex && kind <= base::NotifierKind::custom;
}

// What the bus uses. Where a foreign process made the ring, nothing is recorded: multicast, at the address asked for.
[[nodiscard]] base::NotifierAddress notifier_of(const base::RingExtension* extension,
                                                const std::optional<base::NotifierAddress>& asked);

// Throws incompatible, naming both. Nothing asked for agrees with all but the application's own.
void check_same_notifier(const std::string& path, const base::NotifierAddress& has,
                         const std::optional<base::NotifierAddress>& asked);

}  // namespace toroni::ring
