// One message as most are: a few bytes objects, to a topic that was posted to lately. Needs nothing that an Outbox
// keeps.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <limits>

#include "topic_cache.hpp"
#include "toroni/ring/batch.hpp"

namespace toroni::bindings {

// Of bodies of at most `longest` bytes. Where something answers false, an Outbox is to take the message, or to refuse
// it. The caller keeps all objects alive.
class PlainMessage {
public:
    explicit PlainMessage(std::uint64_t longest) : longest_(longest) {}

    [[nodiscard]] bool add_topic(const TopicCache& topics, nb::handle name, topic::Generation generation) {
        const std::size_t size = topics.copy(name, generation, false, header_);
        return size != 0 && add(header_, size);
    }
    [[nodiscard]] bool add_parts(PyObject* const* parts, Py_ssize_t count) {
        if (count > most_parts) return false;
        for (Py_ssize_t i = 0; i < count; ++i) {
            if (!PyBytes_CheckExact(parts[i])) return false;
            if (!add(PyBytes_AS_STRING(parts[i]), static_cast<std::size_t>(PyBytes_GET_SIZE(parts[i])))) return false;
        }
        if (count_ == 0) return false;
        parts_[count_ - 1].ends_message = true;
        return length_ != 0;
    }
    // Valid as long as nothing is added.
    [[nodiscard]] ring::Batch batch() const { return {parts_, 1, length_, largest_part_}; }

private:
    static constexpr Py_ssize_t most_parts = 3;

    bool add(const void* data, std::size_t size) {
        if (size > longest_ - length_ || size > std::numeric_limits<std::uint32_t>::max()) return false;
        ring::Part& part = parts_[count_++];
        part.data = data;
        part.size = static_cast<std::uint32_t>(size);
        part.ends_message = false;
        length_ += size;
        if (part.size > largest_part_) largest_part_ = part.size;
        return true;
    }

    std::uint64_t longest_;
    std::size_t count_ = 0;
    std::uint64_t length_ = 0;
    std::uint32_t largest_part_ = 0;
    ring::Part parts_[1 + most_parts];
    std::byte header_[TopicCache::longest];
};

}  // namespace toroni::bindings
