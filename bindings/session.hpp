// One process's access to a bus: mapped, and able to write and to notify.
#pragma once

#include <memory>

#include "custom_notifier.hpp"
#include "notifier.hpp"
#include "toroni/ring/memory.hpp"
#include "toroni/ring/writer.hpp"

namespace toroni::bindings {

// Kept alive by every call that is under way, and by borrowed messages, so that close() unmaps nothing under them.
struct Session {
    // `custom` is the application's own notifier, none if the bus uses one of ours. Needs no GIL.
    Session(std::shared_ptr<ring::Memory> opened, std::shared_ptr<CustomNotifier> custom)
        : memory(std::move(opened)),
          writer(memory),
          notifier(std::move(custom)),
          notifier_is_custom(notifier != nullptr) {
        if (!notifier) notifier = blocking::make_notifier(way());
    }
    [[nodiscard]] std::unique_ptr<blocking::Listener> listen() {
        if (auto custom = std::dynamic_pointer_cast<CustomNotifier>(notifier)) {
            return std::make_unique<CustomListener>(std::move(custom));
        }
        return blocking::make_listener(memory, watchers);
    }

    // Who only looks notifies nobody, and needs nothing for it.
    [[nodiscard]] base::NotifierAddress way() const {
        const bool looks_only = memory->role() == ring::Role::observer;
        return looks_only ? base::NotifierAddress{.kind = base::NotifierKind::poll} : memory->notifier();
    }

    std::shared_ptr<ring::Memory> memory;
    ring::Writer writer;
    std::shared_ptr<blocking::Notifier> notifier;
    bool notifier_is_custom;
    blocking::Watchers watchers;
};

}  // namespace toroni::bindings
