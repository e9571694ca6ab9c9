// Decoding of message bodies, and who wants them, beside plain code that says the same.
#include <map>
#include <memory>

#include "input.hpp"
#include "toroni/topic/message.hpp"
#include "toroni/topic/name.hpp"
#include "toroni/topic/subscriptions.hpp"

namespace {

using namespace fuzz;
using topic::Header;

// As the format says it.
std::optional<Header> plainly(const std::string& body) {
    if (body.size() <= 9 || static_cast<unsigned char>(body[8]) > 1) return std::nullopt;
    const std::string rest = body.substr(9, base::max_topic_size + 1);
    if (rest.find('\0') == std::string::npos) return std::nullopt;
    Header header;
    std::memcpy(&header.generation, body.data(), sizeof header.generation);
    header.descendants = body[8] == 1;
    header.size = 9 + rest.find('\0') + 1;
    return header;
}

std::string topic_of(Input& input) {
    static constexpr const char* topics[] = {"", "/", "/a", "/a/b", "/a/", "//", "a", "/a/b/c"};
    if (input.ConsumeBool()) return topics[input.below(std::size(topics))];
    std::string topic = input.ConsumeRandomLengthString(64);
    return topic.substr(0, topic.find('\0'));
}

void check_decoding(const std::string& body, const std::string& expected) {
    // In a block of just its size: not a byte behind it may be looked at.
    const auto block = std::make_unique<std::byte[]>(body.size());
    std::memcpy(block.get(), body.data(), body.size());
    topic::Decoder decoder;
    const auto header = decoder.decode(block.get(), body.size());
    const auto plain = plainly(body);
    require(header.has_value() == plain.has_value());
    if (header) {
        require(header->size == plain->size && header->generation == plain->generation);
        require(header->descendants == plain->descendants);
        require(header->topic == std::string_view(body).substr(9, header->size - 10));
        std::vector<std::byte> again(header->size);
        topic::encode_header(again.data(), header->generation, header->descendants, header->topic);
        require(std::memcmp(again.data(), body.data(), again.size()) == 0);
    }
    const std::uint64_t last = topic::last_bytes(block.get(), body.size());
    if (header && header->topic.size() <= 128) {
        require(std::memcmp(&last, body.data() + header->size - 1 - sizeof last, sizeof last) == 0);
    }
    Header quick;
    const bool found = topic::has_topic(block.get(), body.size(), expected, quick);
    if (expected.size() <= base::max_topic_size) require(found == (header && header->topic == expected));
}

struct Plain {
    std::string topic;
    bool descendants;
    topic::Generation generation;
};

void check_matching(Input& input) {
    topic::Subscriptions subscriptions;
    std::map<topic::Subscriptions::Id, Plain> all;
    for (int i = 0; i < 32 && input.remaining_bytes() != 0; ++i) {
        const std::string name = topic_of(input);
        const bool descendants = input.ConsumeBool();
        const topic::Generation generation = input.below(4);
        if (input.below(3) == 0) {
            require(subscriptions.remove(generation + 1) == (all.erase(generation + 1) != 0));
        } else if (input.ConsumeBool()) {
            all[subscriptions.add(name, descendants, generation)] = {name, descendants, generation};
        } else {
            const Header header{.generation = generation, .descendants = descendants, .topic = name};
            std::vector<topic::Subscriptions::Id> wanted;
            for (const auto& [id, plain] : all) {
                const bool meets = plain.topic == name || (plain.descendants && topic::is_below(name, plain.topic)) ||
                                   (descendants && topic::is_below(plain.topic, name));
                if (meets && generation >= plain.generation) wanted.push_back(id);
            }
            require(subscriptions.matching(header) == wanted);
            require(subscriptions.route(name).admits(header) == !wanted.empty());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    if (input.ConsumeBool()) {
        check_matching(input);
    } else {
        const std::string expected = topic_of(input);
        std::string body = input.ConsumeBool() ? std::string(9, '\1') + expected + '\0' : std::string();
        check_decoding(body + input.ConsumeRemainingBytesAsString(), expected);
    }
    return 0;
}
