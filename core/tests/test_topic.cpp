// Topics: names, encoded messages, and the index of subscriptions against the plain rules.
#include <random>

#include "check.hpp"
#include "toroni/topic/message.hpp"
#include "toroni/topic/name.hpp"
#include "toroni/topic/subscriptions.hpp"

using namespace toroni;
using topic::Generation;
using topic::Header;

namespace {

struct Plain {
    topic::Subscriptions::Id id;
    std::string topic;
    bool descendants;
    Generation generation;
    [[nodiscard]] bool meets(const Header& message) const {
        const bool related = topic == message.topic || (descendants && topic::is_below(message.topic, topic)) ||
                             (message.descendants && topic::is_below(topic, message.topic));
        return related && message.generation >= generation;
    }
};

std::string random_topic(std::mt19937& chooser) {
    static const char* const parts[] = {"", "/", "a", "b", "ab", "a/b", "/a", "/a/b", "//", "a/", "\xc3\xbc"};
    std::string name;
    for (auto count = chooser() % 4; count > 0; --count) name += parts[chooser() % std::size(parts)];
    return name;
}

}  // namespace

TEST(below) {
    CHECK(topic::is_below("/line1/temp", "/line1"));
    CHECK(topic::is_below("/line1/temp/a", "/line1"));
    CHECK(topic::is_below("/line1", ""));
    CHECK(topic::is_below("line1", "/"));
    CHECK(topic::is_below("a/", "a"));
    CHECK(!topic::is_below("/line1", "/line1"));
    CHECK(!topic::is_below("/line10", "/line1"));
    CHECK(!topic::is_below("/line1", "/line1/temp"));
    CHECK(!topic::is_below("", ""));
}

TEST(ancestors_are_those_that_a_topic_is_below) {
    std::mt19937 chooser(1);
    for (int i = 0; i < 2000; ++i) {
        const std::string name = random_topic(chooser);
        std::set<std::string> found;
        topic::for_each_ancestor(name, [&](std::string_view ancestor) {
            CHECK(topic::is_below(name, ancestor));
            CHECK(found.emplace(ancestor).second);
        });
        for (std::size_t length = 0; length < name.size(); ++length) {
            const std::string prefix = name.substr(0, length);
            CHECK_EQUAL(found.contains(prefix), topic::is_below(name, prefix));
        }
    }
}

TEST(the_index_says_what_the_plain_rules_say) {
    std::mt19937 chooser(2);
    for (int round = 0; round < 60; ++round) {
        topic::Subscriptions index;
        std::vector<Plain> plain;
        for (int step = 0; step < 200; ++step) {
            const auto action = chooser() % 10;
            if (action < 3) {
                Plain added{0, random_topic(chooser), chooser() % 2 == 0, chooser() % 8};
                added.id = index.add(added.topic, added.descendants, added.generation);
                plain.push_back(added);
            } else if (action == 3 && !plain.empty()) {
                const auto victim = plain.begin() + static_cast<std::ptrdiff_t>(chooser() % plain.size());
                CHECK(index.remove(victim->id));
                CHECK(!index.remove(victim->id));
                plain.erase(victim);
            } else if (action == 4 && step % 17 == 0) {
                const Generation renewed = chooser() % 8;
                index.renew(renewed);
                for (auto& subscription : plain) subscription.generation = renewed;
            } else {
                const std::string name = random_topic(chooser);
                const Header message{chooser() % 8, chooser() % 2 == 0, name};
                std::vector<topic::Subscriptions::Id> expected;
                for (const auto& subscription : plain) {
                    if (subscription.meets(message)) expected.push_back(subscription.id);
                }
                CHECK(index.matching(message) == expected);
                CHECK_EQUAL(index.route(name).admits(message), !expected.empty());
            }
            CHECK_EQUAL(index.size(), plain.size());
        }
    }
}

TEST(what_is_encoded_is_decoded) {
    topic::Decoder decoder;
    for (const std::size_t size : {0, 1, 54, 55, 56, 63, 64, 65, 127, 128, 1000, 4095, 4096}) {
        const std::string name(size, 'x');
        std::string body(topic::header_size(name), '?');
        topic::encode_header(reinterpret_cast<std::byte*>(body.data()), 0x0123456789abcdef, size % 2 == 1, name);
        body += "payload\0more";
        const auto header = decoder.decode(reinterpret_cast<const std::byte*>(body.data()), body.size());
        CHECK(header.has_value());
        CHECK_EQUAL(header->generation, 0x0123456789abcdefu);
        CHECK_EQUAL(header->descendants, size % 2 == 1);
        CHECK(header->topic == name);
        const std::uint64_t last = topic::last_bytes(reinterpret_cast<const std::byte*>(body.data()), body.size());
        CHECK(size < 8 || last == 0x7878787878787878);  // of a longer one that of its first part
        CHECK_EQUAL(header->size, base::topic_name_offset + size + 1);
        for (std::size_t cut = 0; cut < std::min<std::size_t>(header->size, 200); ++cut) {  // the NUL is missing
            const std::vector<std::byte> part(reinterpret_cast<const std::byte*>(body.data()),
                                              reinterpret_cast<const std::byte*>(body.data()) + cut);
            CHECK(!decoder.decode(part.data(), part.size()).has_value());
        }
    }
}

TEST(garbage_is_refused_or_read_within_its_bounds) {
    std::mt19937 chooser(3);
    topic::Decoder decoder;
    for (int i = 0; i < 200'000; ++i) {
        std::vector<std::byte> body(chooser() % 150);  // of exact size: the sanitizer sees a byte too far
        for (auto& byte : body) byte = static_cast<std::byte>(chooser() % 4);
        const auto header = decoder.decode(body.data(), body.size());
        const std::uint64_t last = topic::last_bytes(body.data(), body.size());
        if (header) CHECK(std::memcmp(&last, body.data() + header->size - 9, sizeof last) == 0);
        if (header) CHECK(header->size <= body.size() && header->topic.size() + 10 == header->size);
    }
}
