// Topic names: levels separated by '/'. A topic is below another if it starts with that and a '/'; "" and "/" are
// above every other topic.
#pragma once

#include <string_view>

namespace toroni::topic {

[[nodiscard]] constexpr bool is_root(std::string_view topic) noexcept { return topic.empty() || topic == "/"; }

[[nodiscard]] constexpr bool is_below(std::string_view topic, std::string_view ancestor) noexcept {
    if (topic == ancestor) return false;
    if (is_root(ancestor)) return true;
    return topic.size() > ancestor.size() && topic.starts_with(ancestor) && topic[ancestor.size()] == '/';
}

// Calls visit(ancestor) once for each topic that `topic` is below. As many as it has levels, plus the roots.
template <class Visit>
constexpr void for_each_ancestor(std::string_view topic, Visit&& visit) {
    for (const std::string_view root : {std::string_view(""), std::string_view("/")}) {
        if (topic != root) visit(root);
    }
    for (std::size_t i = 1; i < topic.size(); ++i) {
        const std::string_view ancestor = topic.substr(0, i);
        if (topic[i] == '/' && ancestor != "/") visit(ancestor);
    }
}

}  // namespace toroni::topic
