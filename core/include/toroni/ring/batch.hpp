// Messages to be written: their parts behind each other, and where each message ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace toroni::ring {

struct Part {
    const void* data;
    std::size_t size;
};

// Copied around freely: it owns nothing.
class Batch {
public:
    Batch() = default;
    // Every part is a message of its own.
    explicit Batch(std::span<const Part> parts) noexcept : parts_(parts), count_(parts.size()) {}
    // `ends` has for each message the number of parts up to its last.
    Batch(std::span<const Part> parts, std::span<const std::size_t> ends) noexcept
        : parts_(parts), ends_(ends.data()), count_(ends.size()) {}

    [[nodiscard]] std::size_t size() const noexcept { return count_; }

    [[nodiscard]] std::span<const Part> operator[](std::size_t index) const noexcept {
        index += first_;
        if (ends_ == nullptr) return parts_.subspan(index, 1);
        const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
        return parts_.subspan(begin, ends_[index] - begin);
    }
    // Bytes in the body of a message.
    [[nodiscard]] std::uint64_t length(std::size_t index) const noexcept {
        std::uint64_t length = 0;
        for (const Part& part : (*this)[index]) length += part.size;
        return length;
    }

    [[nodiscard]] Batch first(std::size_t count) const noexcept {
        Batch batch = *this;
        batch.count_ = count;
        return batch;
    }
    [[nodiscard]] Batch from(std::size_t index) const noexcept {
        Batch batch = *this;
        batch.first_ += index;
        batch.count_ -= index;
        return batch;
    }

private:
    std::span<const Part> parts_;
    const std::size_t* ends_ = nullptr;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
};

}  // namespace toroni::ring
