#include "toroni/topic/message.hpp"

#include <algorithm>
#include <cstring>

namespace toroni::topic {

void encode_header(std::byte* bytes, Generation generation, bool descendants, std::string_view topic) noexcept {
    std::memcpy(bytes + base::topic_generation_offset, &generation, sizeof generation);
    bytes[base::topic_descendants_offset] = static_cast<std::byte>(descendants);
    std::memcpy(bytes + base::topic_name_offset, topic.data(), topic.size());
    bytes[base::topic_name_offset + topic.size()] = std::byte{0};
}

std::optional<Header> Decoder::decode(const std::byte* body, std::uint64_t length) {
    constexpr std::uint64_t first_look = base::topic_name_offset + 64;  // most topics end within it
    if (length <= base::topic_name_offset) return std::nullopt;
    const std::uint64_t most = std::min<std::uint64_t>(length, bytes_.size());
    std::uint64_t looked_at = base::topic_name_offset;
    std::uint64_t wanted = std::min(most, first_look);
    base::copy_from_ring(bytes_.data() + looked_at, body + looked_at, wanted - looked_at);
    Header header;
    if (!decode_prefix(body, header)) return std::nullopt;
    while (true) {
        const std::size_t end = std::string_view(bytes_.data() + looked_at, wanted - looked_at).find('\0');
        if (end != std::string_view::npos) {
            const std::size_t size = looked_at - base::topic_name_offset + end;
            header.topic = std::string_view(bytes_.data() + base::topic_name_offset, size);
            header.size = header_size(header.topic);
            return header;
        }
        if (wanted == most) return std::nullopt;
        looked_at = wanted;
        wanted = std::min(2 * wanted, most);
        base::copy_from_ring(bytes_.data() + looked_at, body + looked_at, wanted - looked_at);
    }
}

}  // namespace toroni::topic
