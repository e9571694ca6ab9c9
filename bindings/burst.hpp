// Bursts in the core alone, without Python: what the protocol costs by itself. The two ends, each in a process of its
// own: topics, filter, copies, waiting and notification as the bus has them, and nothing else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "blocking.hpp"
#include "toroni/topic/message.hpp"
#include "toroni/topic/subscriptions.hpp"

namespace toroni::bench {

inline const std::string topic_name = "/burst";

inline std::uint64_t now() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Waits without anybody to let in meanwhile; ends with its process.
struct NoPython {
    void before_wait() {}
    void after_wait(bool) {}
    static blocking::Answer ask(const ring::Batch&) { return blocking::Answer::drop; }
};

// Each message begins with the time of its creation; the rest of it is zeros.
inline std::size_t checked_size(std::size_t size) {
    if (size < sizeof(std::uint64_t)) throw std::invalid_argument("a message has at least 8 bytes");
    return size;
}

class BurstWriter {
public:
    BurstWriter(const std::string& bus, std::size_t size)
        : memory_(ring::Memory::open({.name = bus, .role = ring::Role::writer})),
          writer_(memory_),
          notifier_(blocking::make_notifier(memory_->notifier())),
          size_(checked_size(size)),
          header_(topic::header_size(topic_name)) {}

    // Creates all messages, then writes them: each a publication of its own, or all in one batch, of which as many as
    // fit become one publication. ns that the writing took.
    std::uint64_t write(std::size_t count, bool one_by_one) {
        create(count);
        const std::size_t at_once = one_by_one ? 1 : count;
        const auto began = now();
        for (std::size_t done = 0; done < count; done += at_once) {
            const auto largest = static_cast<std::uint32_t>(std::max(header_.size(), size_));
            publish({parts_.data() + 2 * done, at_once, at_once * (header_.size() + size_), largest});
        }
        return now() - began;
    }

private:
    void create(std::size_t count) {
        topic::encode_header(header_.data(), memory_->generation(), false, topic_name);
        payloads_.assign(count * size_, std::byte{});
        parts_.clear();
        parts_.reserve(2 * count);
        for (std::size_t index = 0; index < count; ++index) {
            std::byte* payload = payloads_.data() + index * size_;
            const std::uint64_t created = now();
            std::memcpy(payload, &created, sizeof created);
            parts_.push_back({header_.data(), static_cast<std::uint32_t>(header_.size()), false});
            parts_.push_back({payload, static_cast<std::uint32_t>(size_), true});
        }
    }

    void publish(const ring::Batch& batch) {
        const blocking::WriteRequest request{.timeout = std::nullopt};
        blocking::WriteResult result;
        NoPython waiter;
        blocking::write(*memory_, writer_, *notifier_, batch, request, waiter, result);
        if (result.count != batch.size()) throw std::runtime_error("a burst was not written");
    }

    std::shared_ptr<ring::Memory> memory_;
    ring::Writer writer_;
    std::shared_ptr<blocking::Notifier> notifier_;
    std::size_t size_;
    std::vector<std::byte> header_, payloads_;
    std::vector<ring::Part> parts_;
};

class BurstReader {
public:
    // From now on it misses nothing.
    BurstReader(const std::string& bus, std::size_t size)
        : memory_(ring::Memory::open({.name = bus})),
          listener_(blocking::make_listener(memory_, watchers_)),
          reader_(memory_, {}, "burst"),
          filter_(memory_->new_generation()),
          size_(checked_size(size)) {}

    // Reads until so many have come. ns from the first of them to the last; and, if that is asked, ns from the creation
    // of each until it had come, added up.
    std::pair<std::uint64_t, std::uint64_t> read(std::size_t expected, bool is_latency) {
        std::uint64_t first = 0, latency = 0;
        for (std::size_t count = 0; count < expected;) {
            // The first one alone, so that its time is not that of a whole run.
            const std::size_t came = read_run(count == 0 ? 1 : most_messages);
            if (count == 0 && came != 0) first = now();
            if (is_latency) latency += latency_of(came);
            count += came;
        }
        return {now() - first, latency};
    }

private:
    // Few enough that the memory of the copies stays in the processor's cache.
    static constexpr std::size_t most_messages = 256;
    static constexpr std::uint64_t most_bytes = 64 * 1024;

    // One subscription, its topic always the one that is expected.
    class OneTopic : public ring::Filter {
    public:
        explicit OneTopic(topic::Generation generation) {
            topic::Subscriptions subscriptions;
            subscriptions.add(topic_name, false, generation);
            route_ = subscriptions.route(topic_name);
        }
        Verdict judge(const std::byte* body, ring::Frame& frame) override {
            topic::Header header;
            if (!topic::has_topic(body, frame.length, topic_name, header)) return Verdict::refuse;
            if (!route_.admits(header)) return Verdict::skip;
            frame.keep(header.size, header.descendants);
            return Verdict::take;
        }

    private:
        topic::Route route_;
    };

    // Waits for the next run and copies it. How many messages it had, which may be none.
    std::size_t read_run(std::size_t most) {
        const auto status = reader_.begin(most, most_bytes, &filter_);
        if (status == ring::ReadStatus::skipped) return 0;
        if (status == ring::ReadStatus::empty) {
            NoPython waiter;
            blocking::wait_for_news(reader_, *listener_, blocking::Deadline(std::nullopt), waiter);
            return 0;
        }
        if (status != ring::ReadStatus::messages) throw std::runtime_error("messages of a burst were lost");
        const std::size_t count = reader_.frames().size();
        copies_.resize(count * size_);
        std::byte* to = copies_.data();
        for (const ring::Frame& frame : reader_.frames()) {
            if (frame.payload() != size_) throw std::runtime_error("a message of a burst has another size");
            reader_.copy(frame, to);
            to += size_;
        }
        if (!reader_.commit()) throw std::runtime_error("messages of a burst were lost");
        return count;
    }

    // Of the messages that were copied last.
    [[nodiscard]] std::uint64_t latency_of(std::size_t count) const {
        std::uint64_t sum = 0;
        for (std::size_t index = 0; index < count; ++index) {
            std::uint64_t created = 0;
            std::memcpy(&created, copies_.data() + index * size_, sizeof created);
            sum += now() - created;
        }
        return sum;
    }

    std::shared_ptr<ring::Memory> memory_;
    blocking::Watchers watchers_;
    std::unique_ptr<blocking::Listener> listener_;
    ring::Reader reader_;
    OneTopic filter_;
    std::size_t size_;
    std::vector<std::byte> copies_;
};

}  // namespace toroni::bench
