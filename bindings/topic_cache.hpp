// Topics that were posted to lately, as their messages begin.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "topic_name.hpp"
#include "toroni/topic/message.hpp"

namespace toroni::bindings {

// Finds a topic by its object: who posts often has it as a constant. Guarded by the GIL.
class TopicCache {
public:
    static constexpr std::size_t longest = 112;  // of the headers that are kept

    // Writes the header that `name` has in messages of this generation. Its size, or 0 if that is not known here.
    std::size_t copy(nb::handle name, topic::Generation generation, bool descendants, std::byte* to) const noexcept {
        const Entry& entry = entries_[index_of(name)];
        if (entry.name.ptr() != name.ptr()) return 0;
        std::memcpy(to, entry.header, mostly);
        if (entry.size > mostly) std::memcpy(to + mostly, entry.header + mostly, longest - mostly);
        std::memcpy(to + base::topic_generation_offset, &generation, sizeof generation);
        to[base::topic_descendants_offset] = static_cast<std::byte>(descendants);
        return entry.size;
    }

    void remember(nb::handle name, const std::byte* header, std::size_t size) noexcept {
#ifndef Py_GIL_DISABLED
        if (size > longest || !PyUnicode_CheckExact(name.ptr())) return;
        Entry& entry = entries_[index_of(name)];
        std::memcpy(entry.header, header, size);
        entry.size = size;
        entry.name = nb::borrow(name);
#endif
    }

private:
    struct Entry {
        nb::object name;  // kept, so that no other object has its address
        std::size_t size = 0;
        std::byte header[longest] = {};
    };
    static constexpr std::size_t count = 16;
    static constexpr std::size_t mostly = 48;  // is as long as they are; so much is copied at once

    static std::size_t index_of(nb::handle name) noexcept {
        return (reinterpret_cast<std::uintptr_t>(name.ptr()) >> 5) % count;
    }

    std::array<Entry, count> entries_;
};

}  // namespace toroni::bindings
