// The body of a message with a topic: base/layout.hpp draws it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
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

// Generation and flag. False if they are none.
[[nodiscard]] inline bool decode_prefix(const std::byte* body, Header& header) noexcept {
    std::uint8_t flag = 0;
    base::copy_from_ring(&header.generation, body + base::topic_generation_offset, sizeof header.generation);
    base::copy_from_ring(&flag, body + base::topic_descendants_offset, sizeof flag);
    header.descendants = flag != 0;
    return flag <= 1;
}

// Reads the header of a body that may be changing at that moment: what it says is to be believed only if a test
// afterwards shows that it was not.
class Decoder {
public:
    // Nothing if the body has no such header. The topic stays valid until the next call.
    [[nodiscard]] std::optional<Header> decode(const std::byte* body, std::uint64_t length);

private:
    // A private copy: looked at twice, it must be the same.
    std::array<char, base::topic_name_offset + base::max_topic_size + 1> bytes_;
};

// Quickly whether the body has such a header with a topic that is expected: mostly the same as before. Then the header
// refers to that. `expected` is followed by a NUL.
[[nodiscard]] inline bool has_topic(const std::byte* body, std::uint64_t length, const std::string& expected,
                                    Header& header) noexcept {
    header.size = header_size(expected);
    if (length < header.size) return false;
    if (!base::is_in_ring(body + base::topic_name_offset, expected.c_str(), expected.size() + 1)) return false;
    header.topic = expected;
    return decode_prefix(body, header);
}

// A number that topics mostly differ in, at less cost than a hash: from the last bytes of what seems to be the topic
// now. They are 8 with those of the prefix.
[[nodiscard]] inline std::uint64_t last_bytes(const std::byte* body, std::uint64_t length) noexcept {
    constexpr std::uint64_t looked_at = 128;
    if (length <= base::topic_name_offset) return 0;
    const std::byte* const topic = body + base::topic_name_offset;
    const std::size_t size =
        base::length_in_ring(topic, std::min<std::uint64_t>(length - base::topic_name_offset, looked_at));
    std::uint64_t last = 0;
    static_assert(base::topic_name_offset >= sizeof last);
    base::copy_from_ring(&last, topic + size - sizeof last, sizeof last);
    return last;
}

}  // namespace toroni::topic
