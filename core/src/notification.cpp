#include "toroni/ring/notification.hpp"

#include "toroni/base/error.hpp"
#include "toroni/base/racing_copy.hpp"

namespace toroni::ring {

using base::Error;
using base::ErrorCode;

namespace {

std::string describe(const base::NotifierAddress& notifier) {
    const auto dotted = [](std::uint32_t address) {
        std::string text;
        for (int shift = 0; shift < 32; shift += 8)
            text += (shift ? "." : "") + std::to_string(address >> shift & 0xff);
        return text;
    };
    switch (notifier.kind) {
        case base::NotifierKind::futex: return "futex";
        case base::NotifierKind::poll: return "poll";
        case base::NotifierKind::custom: return "one of the application's own";
        case base::NotifierKind::multicast: break;
    }
    const auto port = static_cast<std::uint16_t>(notifier.port << 8 | notifier.port >> 8);
    return "multicast " + dotted(notifier.group) + ":" + std::to_string(port) + " on " + dotted(notifier.interface);
}

}  // namespace

void check_same_notifier(const std::string& path, const base::NotifierAddress& has,
                         const std::optional<base::NotifierAddress>& asked) {
    if (!asked) {
        if (has.kind != base::NotifierKind::custom) return;
        throw Error(ErrorCode::incompatible,
                    path + " uses a notifier of the application's own; pass one when opening it");
    }
    if (*asked == has) return;
    throw Error(ErrorCode::incompatible, path + " exists with notifier " + describe(has) + ", not " + describe(*asked) +
                                             "; open it without asking for one, or remove it");
}

base::NotifierAddress notifier_of(const base::RingExtension* extension,
                                  const std::optional<base::NotifierAddress>& asked) {
    if (extension == nullptr) {
        return asked && asked->kind == base::NotifierKind::multicast ? *asked : default_multicast;
    }
    base::NotifierAddress recorded{};
    base::copy_from_ring(&recorded, reinterpret_cast<const std::byte*>(&extension->notifier), sizeof recorded);
    if (!is_known(recorded.kind)) throw Error(ErrorCode::damaged, "the notifier of a ring changed while it was opened");
    // Who wrote it shall not make us send anywhere else.
    const bool is_group = (recorded.group & 0xf0) == 0xe0 && recorded.port != 0;
    if (recorded.kind == base::NotifierKind::multicast && !is_group) {
        throw Error(ErrorCode::damaged, "the ring names " + describe(recorded) + ", which is no multicast group");
    }
    return recorded;
}

}  // namespace toroni::ring
