#include "toroni/topic/message.hpp"

#include <algorithm>
#include <cstring>

#include "toroni/base/racing_copy.hpp"

namespace toroni::topic {

void encode_header(std::byte* bytes, Generation generation, bool descendants, std::string_view topic) noexcept {
    std::memcpy(bytes + base::topic_generation_offset, &generation, sizeof generation);
    bytes[base::topic_descendants_offset] = static_cast<std::byte>(descendants);
    std::memcpy(bytes + base::topic_name_offset, topic.data(), topic.size());
    bytes[base::topic_name_offset + topic.size()] = std::byte{0};
}

std::optional<Header> Decoder::decode(const std::byte* body, std::uint64_t length) {
    constexpr std::uint64_t first_look = 64;  // most topics end within it
    if (length <= base::topic_name_offset) return std::nullopt;
    std::array<std::byte, base::topic_name_offset> bytes;
    base::copy_from_ring(bytes.data(), body, bytes.size());
    Header header;
    std::memcpy(&header.generation, bytes.data() + base::topic_generation_offset, sizeof header.generation);
    const auto flag = std::to_integer<unsigned>(bytes[base::topic_descendants_offset]);
    if (flag > 1) return std::nullopt;
    header.descendants = flag != 0;

    const std::byte* name = body + base::topic_name_offset;
    const std::uint64_t most = std::min<std::uint64_t>(length - base::topic_name_offset, topic_.size());
    std::uint64_t copied = 0;
    for (std::uint64_t wanted = std::min(first_look, most);; wanted = std::min(2 * wanted, most)) {
        base::copy_from_ring(topic_.data() + copied, name + copied, wanted - copied);
        const std::size_t end = std::string_view(topic_.data() + copied, wanted - copied).find('\0');
        if (end != std::string_view::npos) {
            header.topic = std::string_view(topic_.data(), copied + end);
            header.size = base::topic_name_offset + header.topic.size() + 1;
            return header;
        }
        if (wanted == most) return std::nullopt;
        copied = wanted;
    }
}

}  // namespace toroni::topic
