// Bursts in the core alone, without Python: what the protocol costs by itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "blocking.hpp"
#include "toroni/topic/message.hpp"

namespace toroni::bench {

inline const std::string topic_name = "/burst";

inline std::uint64_t now() {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

struct NoPython {
    void before_wait() {}
    void after_wait(bool) {}
    static blocking::Answer ask(const ring::Batch&) { return blocking::Answer::drop; }
};

// Messages of `size` bytes, at least 8, all created before they are written.
class BurstWriter {
public:
    BurstWriter(const std::string& bus, std::size_t messages, std::size_t size)
        : memory_(ring::Memory::open({.name = bus, .role = ring::Role::writer})),
          writer_(memory_),
          notifier_(blocking::make_notifier(memory_->notifier())),
          count_(messages),
          size_(size) {
        if (size < sizeof(std::uint64_t)) throw std::invalid_argument("a message has at least 8 bytes");
    }

    // One after the other, each a publication of its own; or all that fit in one. How many ns that took, for all.
    std::uint64_t write(bool one_by_one) {
        create();
        const auto began = now();
        const std::size_t at_once = one_by_one ? 1 : count_;
        for (std::size_t i = 0; i < count_; i += at_once) {
            const ring::Batch batch(parts_.data() + 2 * i, at_once, at_once * (header_.size() + size_),
                                    static_cast<std::uint32_t>(std::max(header_.size(), size_)));
            const blocking::WriteRequest request{.messages = batch, .timeout = std::nullopt};
            blocking::WriteResult result;
            NoPython waiter;
            blocking::write(*memory_, writer_, *notifier_, request, waiter, result);
            if (result.count != at_once) throw std::runtime_error("a burst was not written");
        }
        return now() - began;
    }

private:
    void create() {
        header_.resize(topic::header_size(topic_name));
        topic::encode_header(header_.data(), memory_->generation(), false, topic_name);
        payloads_.assign(count_ * size_, std::byte{});
        parts_.clear();
        for (std::size_t i = 0; i < count_; ++i) {
            std::byte* payload = payloads_.data() + i * size_;
            const std::uint64_t time = now();
            std::memcpy(payload, &time, sizeof time);
            parts_.push_back({header_.data(), static_cast<std::uint32_t>(header_.size()), false});
            parts_.push_back({payload, static_cast<std::uint32_t>(size_), true});
        }
    }

    std::shared_ptr<ring::Memory> memory_;
    ring::Writer writer_;
    std::shared_ptr<blocking::Notifier> notifier_;
    std::size_t count_, size_;
    std::vector<std::byte> header_, payloads_;
    std::vector<ring::Part> parts_;
};

// Reads until all that it expects has come, and calls a function with each.
class BurstReader {
public:
    explicit BurstReader(const std::string& bus)
        : memory_(ring::Memory::open({.name = bus})),
          listener_(blocking::make_listener(memory_, watchers_)),
          reader_(memory_, {}, "burst") {}

    // ns from the first message to the last, and those from each message's creation until it came, added up.
    std::pair<std::uint64_t, std::uint64_t> read(std::size_t expected, bool is_latency) {
        std::uint64_t first = 0, latency = 0, count = 0;
        const auto take = [&](const std::byte* payload) {
            ++count;
            if (!is_latency) return;
            std::uint64_t created = 0;
            std::memcpy(&created, payload, sizeof created);
            latency += now() - created;
        };
        while (count < expected) {
            run(take);
            if (first == 0 && count != 0) first = now();
        }
        return {now() - first, latency};
    }

private:
    static constexpr std::size_t most_messages = 256;
    static constexpr std::uint64_t most_bytes = 64 * 1024;

    class OneTopic : public ring::Filter {
    public:
        Verdict judge(const std::byte* body, ring::Frame& frame) override {
            topic::Header header;
            if (!topic::has_topic(body, frame.length, topic_name, header)) return Verdict::skip;
            frame.prefix = static_cast<std::uint32_t>(header.size);
            return Verdict::take;
        }
    };

    template <class Take>
    void run(Take&& take) {
        using ring::ReadStatus;
        const ReadStatus status = reader_.begin(most_messages, most_bytes, &filter_);
        if (status == ReadStatus::skipped) return;
        if (status == ReadStatus::empty) {
            NoPython waiter;
            blocking::wait_for_news(reader_, *listener_, blocking::Deadline(std::nullopt), waiter);
            return;
        }
        std::uint64_t total = 0;
        for (const ring::Frame& frame : reader_.frames()) total += frame.payload();
        copies_.resize(total);
        std::byte* to = copies_.data();
        for (const ring::Frame& frame : reader_.frames()) {
            reader_.copy(frame, to);
            to += frame.payload();
        }
        taken_.assign(reader_.frames().begin(), reader_.frames().end());
        if (status != ReadStatus::messages || !reader_.commit()) throw std::runtime_error("messages were lost");
        const std::byte* payload = copies_.data();
        for (const ring::Frame& frame : taken_) {
            take(payload);
            payload += frame.payload();
        }
    }

    std::shared_ptr<ring::Memory> memory_;
    blocking::Watchers watchers_;
    std::unique_ptr<blocking::Listener> listener_;
    ring::Reader reader_;
    OneTopic filter_;
    std::vector<std::byte> copies_;
    std::vector<ring::Frame> taken_;
};

}  // namespace toroni::bench
