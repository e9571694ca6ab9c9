// toroni._core.TopicReader: reads the messages of the topics that it has subscribed to.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "reader_base.hpp"
#include "toroni/topic/subscriptions.hpp"

namespace toroni::bindings {

// Fetches ahead: a run of small messages is copied at once, and handed out one by one.
class TopicReader : public ReaderBase {
public:
    using ReaderBase::ReaderBase;

    // Returns an id for unsubscribe(). A historic one gets what was created before it, too; one with a handler is for
    // take_for_dispatch().
    std::uint64_t subscribe(nb::handle topic, bool descendants, bool historic, bool has_handler);
    bool unsubscribe(std::uint64_t id);

    nb::object recv(std::optional<double> timeout);
    nb::object next();  // none at all at the end
    nb::object recv_many(std::size_t most, std::optional<double> timeout);
    nb::tuple recv_columns(std::size_t most, std::optional<double> timeout);
    // A dict of topics: how many messages and bytes of payload are there now. Nothing is copied.
    nb::object tally(std::size_t most, std::optional<double> timeout);
    nb::object borrow(nb::handle self, std::optional<double> timeout);
    // The next message that is there, and the ids of the subscriptions with a handler that it meets; None at `end`,
    // False if it meets none, and then it stays.
    nb::object take_for_dispatch(base::Position end);

    [[nodiscard]] base::Position position() const override;
    // Ends the loan of the message at `position`. None if it was whole to the end. Else the reader goes on behind the
    // loss, and the MessagesLost is to be raised, whatever on_loss says: somebody has looked at those bytes. Without
    // `tell` the next read finds the loss.
    nb::object give_back(const Session& lender, base::Position position, bool tell);

protected:
    ring::Filter* filter() override;
    void stream_restarted() override;
    [[nodiscard]] bool has_pending() const override { return next_pending_ < pending_.size(); }
    void check_readable() override;

private:
    // A topic that was seen, and who wants it: looked up once, and again when the subscriptions change.
    struct KnownTopic {
        topic::Route route;
        nb::object name;            // a str, made when first needed
        std::uint64_t columns = 0;  // the last ones that have it
        std::int32_t index = 0;     // there
    };
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    using KnownTopics = std::unordered_map<std::string, KnownTopic, Hash, std::equal_to<>>;

    class InColumns;
    class TopicFilter : public ring::Filter {
    public:
        explicit TopicFilter(TopicReader& reader) : reader_(reader) {}
        Verdict judge(const std::byte* body, ring::Frame& frame) override;

    private:
        TopicReader& reader_;
        topic::Decoder decoder_;
    };

    struct Pending {
        nb::object message;
        topic::Generation generation;
        bool descendants;
    };
    [[nodiscard]] KnownTopics::value_type& recognise(std::string_view topic);
    [[nodiscard]] bool is_memory_full() const;
    // Of a message that was just walked to.
    [[nodiscard]] static nb::handle topic_name_of(const ring::Frame& frame);
    [[nodiscard]] static nb::object message_of(const ring::Frame& frame, nb::object&& body);
    [[nodiscard]] bool is_at_hand() const;
    // Messages ahead: true if there are any now.
    bool fill(const blocking::Deadline& deadline);
    [[nodiscard]] nb::object pop();
    void forget_topics();

    topic::Subscriptions subscriptions_;
    std::unordered_set<topic::Subscriptions::Id> with_handlers_;
    KnownTopics known_;
    std::size_t known_bytes_ = 0;
    KnownTopics::value_type unknown_{{}, {}};  // one that is not remembered, since nobody wants it
    KnownTopics::value_type* last_known_ = nullptr;
    std::array<KnownTopics::value_type*, 1024> recent_{};  // by topic::last_bytes, of which the upper 10 bits count
    std::vector<Pending> pending_;                         // fetched ahead, from next_pending_ on
    std::size_t next_pending_ = 0;
    TopicFilter filter_{*this};
    std::uint64_t columns_ = 0;           // how many there were
    std::optional<base::Position> lent_;  // the position of the message that is lent
    bool given_back_ = false;             // it was, where that could not be done
};

}  // namespace toroni::bindings
