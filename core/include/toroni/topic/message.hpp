// The body of a message with a topic: base/layout.hpp draws it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "toroni/base/layout.hpp"
#include "toroni/base/racing_copy.hpp"

namespace toroni::topic {

// Counts subscriptions: a message carries the count at its creation, a subscription that at its own, and gets no
// message with a smaller one. One with a start in the past has 0.
using Generation = std::uint64_t;

struct Header {
    Generation generation = 0;
    bool descendants = false;  // posted to all below the topic too
    std::string_view topic;
    std::uint64_t size = 0;  // bytes before the payload
};

// Bytes before the payload: prefix, topic, NUL.
[[nodiscard]] constexpr std::size_t header_size(std::string_view topic) noexcept {
    return base::topic_name_offset + topic.size() + 1;
}
// Writes that many. The topic holds no NUL.
void encode_header(std::byte* bytes, Generation generation, bool descendants, std::string_view topic) noexcept;

// Reads the header of a body that may be changing at that moment: what it says is to be believed only if a test
// afterwards shows that it was not.
class Decoder {
public:
    // Nothing if the body has no such header. The topic stays valid until the next call.
    [[nodiscard]] std::optional<Header> decode(const std::byte* body, std::uint64_t length);

    // Quickly whether the topic is the one that is expected, as it mostly is; then the header refers to that.
    [[nodiscard]] bool is(std::string_view expected, const std::byte* body, std::uint64_t length,
                          Header& header) noexcept {
        const std::size_t size = header_size(expected);
        if (length < size || size > bytes_.size()) return false;
        base::copy_from_ring(bytes_.data(), body, size);
        header.topic = expected;
        header.size = size;
        return std::memcmp(bytes_.data() + base::topic_name_offset, expected.data(), expected.size()) == 0 &&
               bytes_[size - 1] == '\0' && decode_prefix(header);
    }

private:
    // False: these are no generation and flag.
    [[nodiscard]] bool decode_prefix(Header& header) const noexcept {
        std::memcpy(&header.generation, bytes_.data() + base::topic_generation_offset, sizeof header.generation);
        const auto flag = static_cast<unsigned char>(bytes_[base::topic_descendants_offset]);
        header.descendants = flag != 0;
        return flag <= 1;
    }

    // A private copy: looked at twice, it must be the same.
    std::array<char, base::topic_name_offset + base::max_topic_size + 1> bytes_;
};

}  // namespace toroni::topic
