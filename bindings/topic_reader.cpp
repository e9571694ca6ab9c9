#include "topic_reader.hpp"

#include <nanobind/stl/vector.h>

#include "borrowed.hpp"
#include "message.hpp"
#include "new_list.hpp"

namespace toroni::bindings {

namespace {

// What is fetched ahead where messages are taken one by one.
constexpr std::size_t messages_ahead = 64;
constexpr std::uint64_t bytes_ahead = 64 * 1024;
// Topics that are remembered, wanted or not; then all are forgotten.
constexpr std::size_t most_known = 16 * 1024;
constexpr std::size_t most_known_bytes = 4u << 20;

nb::object lend(std::unique_ptr<Loan> loan, nb::object topic, base::Position position) {
    nb::object shown = nb::cast(loan.release(), nb::rv_policy::take_ownership);
    return nb::cast(new Borrowed(std::move(shown), std::move(topic), position), nb::rv_policy::take_ownership);
}

}  // namespace

// ---- which messages are wanted ----------------------------------------------------------------------------

ring::Filter* TopicReader::filter() {
    if (is_memory_full()) forget_topics();
    return &filter_;
}

bool TopicReader::is_memory_full() const { return known_.size() >= most_known || known_bytes_ >= most_known_bytes; }

void TopicReader::forget_topics() {
    last_known_ = nullptr;
    recent_.fill(nullptr);
    known_.clear();
    known_bytes_ = 0;
}

TopicReader::KnownTopics::value_type& TopicReader::recognise(std::string_view topic) {
    if (const auto found = known_.find(topic); found != known_.end()) return *found;
    const topic::Route route = subscriptions_.route(topic);
    // Frames of this run point to what is known: nothing is forgotten now, but what is unwanted need not be known.
    const bool is_unwanted = route.to_descendants == topic::Route::nobody;
    if (is_unwanted && is_memory_full()) {
        unknown_.second.route = route;
        return unknown_;
    }
    known_bytes_ += topic.size();
    return *known_.emplace(topic, KnownTopic{route, {}}).first;
}

ring::Filter::Verdict TopicReader::TopicFilter::judge(const std::byte* body, ring::Frame& frame) {
    auto* known = reader_.last_known_;
    topic::Header header;
    const auto is_it = [&] { return known != nullptr && topic::has_topic(body, frame.length, known->first, header); };
    if (!is_it()) {
        // Looked up only if it was not lately: a private copy of a topic, and a hash, cost as much as all the rest.
        auto*& recent = reader_.recent_[topic::last_bytes(body, frame.length) * 0x9E3779B97F4A7C15 >> 54];
        known = recent;
        if (!is_it()) {
            const auto decoded = decoder_.decode(body, frame.length);
            if (!decoded) return Verdict::refuse;
            header = *decoded;
            known = &reader_.recognise(header.topic);
            if (known != &reader_.unknown_) recent = known;
        }
        if (known != &reader_.unknown_) reader_.last_known_ = known;
    }
    if (!known->second.route.admits(header)) return Verdict::skip;
    frame.keep(header.size, header.descendants);
    frame.tag = known;
    frame.number = header.generation;
    return Verdict::take;
}

std::uint64_t TopicReader::subscribe(nb::handle topic, bool descendants, bool historic, bool has_handler) {
    const TopicName name(topic);
    const Use use(*this);
    const auto generation = historic ? 0 : session()->memory->new_generation();
    forget_topics();
    const auto id = subscriptions_.add(std::string(name.text()), descendants, generation);
    if (has_handler) with_handlers_.insert(id);
    return id;
}

bool TopicReader::unsubscribe(std::uint64_t id) {
    const Use use(*this);
    if (!subscriptions_.remove(id)) return false;
    with_handlers_.erase(id);
    forget_topics();
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(std::exchange(next_pending_, 0)));
    std::erase_if(pending_, [&](const Pending& pending) {  // fetched ahead, and wanted no more
        const TopicName name(topic_of(pending.message));
        const topic::Header header{pending.generation, pending.descendants, name.text()};
        return !subscriptions_.route(name.text()).admits(header);
    });
    return true;
}

void TopicReader::stream_restarted() {
    subscriptions_.renew(session()->memory->new_generation());
    forget_topics();
}

void TopicReader::check_readable() {
    if (std::exchange(given_back_, false) && lent_) {
        lent_.reset();
        static_cast<void>(open_reader().commit());  // if it was overwritten, this read finds out
    }
    if (lent_) raise("InUse", "a borrowed message of this reader has not been released yet");
}

// ---- taking them ------------------------------------------------------------------------------------------

nb::handle TopicReader::topic_name_of(const ring::Frame& frame) {
    auto& known = *static_cast<KnownTopics::value_type*>(frame.tag);
    if (!known.second.name.is_valid()) known.second.name = to_topic(known.first);
    return known.second.name;
}

nb::object TopicReader::message_of(const ring::Frame& frame, nb::object&& body) {
    return make_message(topic_name_of(frame), std::move(body), frame.position);
}

bool TopicReader::fill(const blocking::Deadline& deadline) {
    struct Ahead {
        std::vector<Pending> fetched;
        void take(const ring::Reader& reader) { copy_each(reader, *this); }
        void clear() { fetched.clear(); }
        void start(std::size_t count) {
            fetched.clear();
            fetched.reserve(count);
        }
        void add(const ring::Frame& frame, nb::object&& body) {
            fetched.push_back({message_of(frame, std::move(body)), frame.number, frame.flag()});
        }
    };
    if (has_pending()) return true;
    Ahead ahead{std::move(pending_)};  // whose memory is used again
    next_pending_ = 0;
    pending_.clear();
    if (!fetch(messages_ahead, bytes_ahead, deadline, ahead)) return false;
    pending_ = std::move(ahead.fetched);
    return true;
}

nb::object TopicReader::pop() {
    nb::object message = std::move(pending_[next_pending_++].message);
    note_last(position_of(message));
    return message;
}

nb::object TopicReader::recv(std::optional<double> timeout) {
    const auto limit = to_timeout(timeout);
    if (is_at_hand()) return pop();
    const blocking::Deadline deadline(limit);
    const Use use(*this, deadline);
    return use && fill(deadline) ? pop() : nb::none();
}

// What was fetched ahead is handed out without more ado, if nobody else is inside: then the descriptor of an event loop
// is readable, and stays so. The GIL keeps others out meanwhile.
bool TopicReader::is_at_hand() const {
#ifdef Py_GIL_DISABLED
    return false;
#else
    return has_pending() && is_free();
#endif
}

nb::object TopicReader::next() {
    if (is_at_hand()) return pop();
    if (is_closed()) return {};
    try {
        return recv(std::nullopt);
    } catch (const nb::python_error& error) {
        if (!is_closed() || !error.matches(error_class("Closed"))) throw;
        return {};
    }
}

nb::object TopicReader::recv_many(std::size_t most, std::optional<double> timeout) {
    struct Many {
        NewList list;
        base::Position last = 0;
        void take(const ring::Reader& reader) { copy_each(reader, *this); }
        void clear() { start(0); }
        void start(std::size_t count) { list.start(count); }
        void add(const ring::Frame& frame, nb::object&& body) {
            last = frame.position;
            list.add(message_of(frame, std::move(body)));
        }
    };
    const blocking::Deadline deadline(to_timeout(timeout));
    check_most(most);
    Many many;
    const Use use(*this, deadline);
    if (use && has_pending()) {
        const std::size_t count = std::min(most, pending_.size() - next_pending_);
        many.list.start(count);
        for (std::size_t i = 0; i < count; ++i) many.list.add(pop());
    } else if (use && fetch(most, most_bytes_a_run, deadline, many)) {
        note_last(many.last);
    }
    return many.list.get();
}

nb::object TopicReader::borrow(nb::handle self, std::optional<double> timeout) {
    const blocking::Deadline deadline(to_timeout(timeout));
    const Use use(*this, deadline);
    if (!use) return nb::none();
    if (has_pending()) {  // a copy already
        const nb::object message = pop();
        auto loan = std::make_unique<Loan>(nb::borrow(data_of(message)));
        return lend(std::move(loan), nb::borrow(topic_of(message)), position_of(message));
    }
    if (!next_run(1, most_bytes_a_run, deadline)) return nb::none();
    ring::Reader& reader = open_reader();
    reader.pin();
    const ring::Frame& frame = reader.frames().front();
    const nb::object topic = nb::borrow(topic_name_of(frame));
    auto loan = std::make_unique<Loan>(nb::borrow(self), session(), frame.position, reader.bodies().payload_of(frame),
                                       static_cast<std::size_t>(frame.payload()));
    lent_ = frame.position;
    return lend(std::move(loan), topic, frame.position);
}

nb::object TopicReader::take_for_dispatch(base::Position end) {
    const blocking::Deadline deadline(os::Nanoseconds{0});
    const Use use(*this, deadline);
    if (!use || !fill(deadline)) return nb::none();
    const Pending& first = pending_[next_pending_];
    if (base::distance(position_of(first.message), end) <= 0) return nb::none();
    const TopicName name(topic_of(first.message));
    auto ids = subscriptions_.matching({first.generation, first.descendants, name.text()});
    std::erase_if(ids, [&](auto id) { return !with_handlers_.contains(id); });
    if (ids.empty()) return nb::bool_(false);
    return nb::make_tuple(pop(), ids);
}

base::Position TopicReader::position() const {
    const base::Position position = ReaderBase::position();
    return has_pending() ? position_of(pending_[next_pending_].message) : position;
}

// ---- lending ----------------------------------------------------------------------------------------------

nb::object TopicReader::give_back(const Session& lender, base::Position position, bool tell) {
    try {
        // In the collector, in the middle of this thread's own call: done by the next read.
        if (!tell && is_mine()) {
            given_back_ = true;
            return nb::none();
        }
        const Use use(*this);
        if (lent_ != position) return nb::none();  // given back
        lent_.reset();
        note_last(position);
        if (open_reader().commit() || !tell) return nb::none();
        return take_loss(ring::ReadStatus::lost);
    } catch (const nb::python_error& error) {
        if (!tell) given_back_ = true;  // interrupted
        if (!error.matches(error_class("Closed"))) throw;
    }
    base::fence::acquire();  // it was looked at before the claim: pairs with Writer::claim
    const ring::Memory& memory = *lender.memory;
    if (!tell || !base::is_lost(position, memory.horizon(), memory.capacity())) return nb::none();
    const base::Position end = memory.ring().free_pos.load(std::memory_order_acquire);
    return make_loss_error({ring::ReadStatus::lost, position, end, end - position, std::nullopt});
}

}  // namespace toroni::bindings
