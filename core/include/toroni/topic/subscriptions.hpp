// The subscriptions of one reader, and which of them a message meets.
//
// A message to topic T meets the subscriptions to T; those to a topic above T that are for descendants; and, if it was
// posted to descendants, those to topics below T. Each only if it is of the subscription's generation or a later one.
//
// Each subscription is entered at its topic, and at every ancestor of it as one "below". So a message is looked up at
// its topic and its ancestors: a few hash lookups, however many subscriptions there are. Sets are ordered by
// generation: their first element tells which messages pass.
#pragma once

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "toroni/topic/message.hpp"

namespace toroni::topic {

// What a message to one topic needs to be wanted by anybody: its generation must be at least this.
struct Route {
    static constexpr Generation nobody = std::numeric_limits<Generation>::max();
    Generation plain = nobody;           // posted to the topic only
    Generation to_descendants = nobody;  // posted to all below it too
    [[nodiscard]] bool admits(const Header& header) const noexcept {
        const Generation least = header.descendants ? to_descendants : plain;
        return least != nobody && header.generation >= least;
    }
};

class Subscriptions {
public:
    using Id = std::uint64_t;

    // Ids count up and are never used again.
    Id add(std::string topic, bool descendants, Generation generation);
    // False if there is no such subscription.
    bool remove(Id id);
    // After the stream began anew: all are of this generation now.
    void renew(Generation generation);

    [[nodiscard]] Route route(std::string_view topic) const;
    // The subscriptions that a message meets, by id, oldest first.
    [[nodiscard]] std::vector<Id> matching(const Header& header) const;
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

private:
    using Entry = std::pair<Generation, Id>;
    struct Subscription {
        std::string topic;
        bool descendants;
        Generation generation;
    };
    struct Node {
        std::set<Entry> here;             // subscriptions to this topic
        std::set<Entry> for_descendants;  // those of them that are for descendants
        std::set<Entry> below;            // subscriptions to topics below
    };
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    [[nodiscard]] const Node* find(std::string_view topic) const;
    void enter(const Subscription& subscription, Id id);
    void leave(const Subscription& subscription, Id id);

    std::unordered_map<std::string, Node, Hash, std::equal_to<>> nodes_;
    std::unordered_map<Id, Subscription> all_;
    Id next_ = 1;
};

}  // namespace toroni::topic
