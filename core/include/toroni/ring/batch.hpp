// Messages to be written: their parts behind each other, each of which says whether its message ends with it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace toroni::ring {

struct Part {
    const void* data;
    std::uint32_t size;
    bool ends_message = true;
};

// Copied around freely: it owns nothing.
class Batch {
public:
    Batch() = default;
    explicit Batch(std::span<const Part> parts) noexcept : parts_(parts.data()) {
        for (const Part& part : parts) {
            bytes_ += part.size;
            size_ += part.ends_message ? 1 : 0;
            largest_part_ = std::max(largest_part_, part.size);
        }
    }
    // Where that is known already: of so many messages, with so many bytes in their bodies and in the largest part.
    Batch(const Part* parts, std::size_t size, std::uint64_t bytes, std::uint32_t largest_part) noexcept
        : parts_(parts), size_(size), bytes_(bytes), largest_part_(largest_part) {}

    // Messages.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    // In all bodies.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const Part* parts() const noexcept { return parts_; }
    // No part is larger.
    [[nodiscard]] std::uint32_t largest_part() const noexcept { return largest_part_; }

    // Goes behind a message; the bytes in its body.
    static std::uint64_t pass(const Part*& part) noexcept {
        std::uint64_t length = part->size;
        while (!part++->ends_message) length += part->size;
        return length;
    }
    // Of the first message.
    [[nodiscard]] std::uint64_t length() const noexcept {
        const Part* part = parts_;
        return pass(part);
    }

    [[nodiscard]] Batch first() const noexcept { return {parts_, 1, length(), largest_part_}; }
    [[nodiscard]] Batch from(std::size_t index) const noexcept {
        Batch rest = *this;
        rest.size_ -= index;
        if (rest.size_ == 0) return {};
        for (std::size_t i = 0; i < index; ++i) rest.bytes_ -= pass(rest.parts_);
        return rest;
    }

private:
    const Part* parts_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint32_t largest_part_ = 0;
};

}  // namespace toroni::ring
