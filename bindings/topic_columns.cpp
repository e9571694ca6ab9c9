// Reading in columns.
#include <span>

#include "columns.hpp"
#include "message.hpp"
#include "topic_reader.hpp"

namespace toroni::bindings {

// What Columns have, and of each message which topic it is, of those that there are.
class TopicReader::InColumns {
public:
    // `number`: of these columns, which counts up.
    explicit InColumns(std::uint64_t& number) : number_(number) { clear(); }

    void take(const ring::Reader& reader) {
        columns.take(reader);
        ++number_;
        topics_ = nb::list();
        auto* index = indices_.start(reader.frames().size());
        for (const ring::Frame& frame : reader.frames()) {
            auto& known = static_cast<KnownTopics::value_type*>(frame.tag)->second;
            if (known.columns != number_) {
                known.columns = number_;
                known.index = static_cast<std::int32_t>(topics_.size());
                topics_.append(topic_name_of(frame));
            }
            *index++ = known.index;
        }
    }
    // Messages that were fetched ahead.
    void take(std::span<const Pending> pending) {
        const auto data = [](const Pending& one) { return data_of(one.message).ptr(); };
        const auto size = [&](const Pending& one) { return static_cast<std::uint64_t>(PyBytes_GET_SIZE(data(one))); };
        std::uint64_t bytes = 0;
        for (const Pending& one : pending) bytes += size(one);
        columns.fill(
            pending, bytes, false, [](const Pending& one) { return position_of(one.message); }, size,
            [&](const Pending& one, std::byte* to) { std::memcpy(to, PyBytes_AS_STRING(data(one)), size(one)); });
        topics_ = nb::list();
        nb::dict known;
        auto* index = indices_.start(pending.size());
        for (const Pending& one : pending) {
            const nb::handle name = topic_of(one.message);
            if (!known.contains(name)) {
                known[name] = topics_.size();
                topics_.append(name);
            }
            *index++ = nb::cast<std::int32_t>(known[name]);
        }
    }
    void clear() {
        columns.clear();
        indices_.start(0);
        topics_ = nb::list();
    }
    [[nodiscard]] nb::tuple get() { return nb::make_tuple(columns.get(), indices_.get(), nb::tuple(topics_)); }

    Columns columns;

private:
    std::uint64_t& number_;
    Column<std::int32_t> indices_;
    nb::list topics_;
};

nb::tuple TopicReader::recv_columns(std::size_t most, std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    check_most(most);
    InColumns messages(columns_);
    const Use use(*this, deadline);
    if (use && has_pending()) {
        const std::size_t count = std::min(most, pending_.size() - next_pending_);
        messages.take(std::span(pending_).subspan(next_pending_, count));
        for (std::size_t i = 0; i < count; ++i) pending_[next_pending_++].message.reset();
        note_last(messages.columns.last());
    } else if (use && fetch(most, most_bytes_a_run, deadline, messages)) {
        note_last(messages.columns.last());
    }
    return messages.get();
}

}  // namespace toroni::bindings
