#include "toroni/topic/subscriptions.hpp"

#include <algorithm>

#include "toroni/topic/name.hpp"

namespace toroni::topic {

namespace {

template <class Set>
Generation least_of(const Set& entries) {
    return entries.empty() ? Route::nobody : entries.begin()->first;
}

}  // namespace

const Subscriptions::Node* Subscriptions::find(std::string_view topic) const {
    const auto found = nodes_.find(topic);
    return found == nodes_.end() ? nullptr : &found->second;
}

void Subscriptions::enter(const Subscription& subscription, Id id) {
    const Entry entry{subscription.generation, id};
    Node& node = nodes_[subscription.topic];
    node.here.insert(entry);
    if (subscription.descendants) node.for_descendants.insert(entry);
    for_each_ancestor(subscription.topic,
                      [&](std::string_view ancestor) { nodes_[std::string(ancestor)].below.insert(entry); });
}

void Subscriptions::leave(const Subscription& subscription, Id id) {
    const Entry entry{subscription.generation, id};
    const auto erase_at = [&](std::string_view topic, bool below) {
        const auto found = nodes_.find(topic);
        if (found == nodes_.end()) return;
        Node& node = found->second;
        if (below) node.below.erase(entry);
        else node.here.erase(entry), node.for_descendants.erase(entry);
        if (node.here.empty() && node.below.empty()) nodes_.erase(found);
    };
    erase_at(subscription.topic, false);
    for_each_ancestor(subscription.topic, [&](std::string_view ancestor) { erase_at(ancestor, true); });
}

Subscriptions::Id Subscriptions::add(std::string topic, bool descendants, Generation generation) {
    const Id id = next_++;
    const auto [entry, _] = all_.emplace(id, Subscription{std::move(topic), descendants, generation});
    enter(entry->second, id);
    return id;
}

bool Subscriptions::remove(Id id) {
    const auto found = all_.find(id);
    if (found == all_.end()) return false;
    leave(found->second, id);
    all_.erase(found);
    return true;
}

void Subscriptions::renew(Generation generation) {
    nodes_.clear();
    for (auto& [id, subscription] : all_) {
        subscription.generation = generation;
        enter(subscription, id);
    }
}

Route Subscriptions::route(std::string_view topic) const {
    Route route;
    if (const Node* node = find(topic)) {
        route.plain = least_of(node->here);
        route.to_descendants = least_of(node->below);
    }
    for_each_ancestor(topic, [&](std::string_view ancestor) {
        if (const Node* node = find(ancestor)) route.plain = std::min(route.plain, least_of(node->for_descendants));
    });
    route.to_descendants = std::min(route.to_descendants, route.plain);
    return route;
}

std::vector<Subscriptions::Id> Subscriptions::matching(const Header& header) const {
    std::vector<Id> ids;
    const auto collect = [&](const std::set<Entry>& entries) {
        for (const auto& [generation, id] : entries) {
            if (generation > header.generation) break;
            ids.push_back(id);
        }
    };
    if (const Node* node = find(header.topic)) {
        collect(node->here);
        if (header.descendants) collect(node->below);
    }
    for_each_ancestor(header.topic, [&](std::string_view ancestor) {
        if (const Node* node = find(ancestor)) collect(node->for_descendants);
    });
    // Among the roots a topic can be both above and below: "" and "/" are each other's.
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

}  // namespace toroni::topic
