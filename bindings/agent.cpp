// What the test agent (src/toroni/agent) does that no user of the library should: segments without our extension,
// counters shared with C++ and Java agents, a death with the writer mutex held.
#include "agent.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstddef>

#include "errors.hpp"
#include "stream_base.hpp"
#include "toroni/ring/foreign_segments.hpp"

namespace toroni::bindings {

namespace {

// /dev/shm/toroni-burst-s: the agents' counters, added to by all of them at once.
enum class Counter : std::size_t {
    latency_ns_sum,
    first_last_duration_ns_sum,
    writer_duration_ns_sum,
    notification_ns_sum,
    msg_count,
    readers_ready,
    writers_ready,
    reader_runs,
};

constexpr std::size_t counter_count = 8;

class Counters {
public:
    explicit Counters(const std::string& path) : segment_(open_or_make(path)) {
        if (segment_.size() < counter_count * sizeof(std::atomic<std::uint64_t>)) {
            raise("BusDamaged", path + " is too short for an agent's counters; remove it first");
        }
    }
    [[nodiscard]] std::uint64_t get(Counter counter) const { return at(counter).load(std::memory_order_acquire); }
    void set(Counter counter, std::uint64_t value) const { at(counter).store(value, std::memory_order_release); }
    void add(Counter counter, std::uint64_t value) const { at(counter).fetch_add(value, std::memory_order_acq_rel); }

private:
    static os::Segment open_or_make(const std::string& path) {
        while (true) {
            if (auto existing = os::Segment::open(path, os::Access::read_write)) return std::move(*existing);
            const auto directory = path.substr(0, path.rfind('/'));
            auto made = os::Segment::make_unnamed(directory, counter_count * sizeof(std::uint64_t), 0600, std::nullopt);
            if (made.link(path)) return made;
        }
    }
    [[nodiscard]] std::atomic<std::uint64_t>& at(Counter counter) const {
        return reinterpret_cast<std::atomic<std::uint64_t>*>(segment_.data())[static_cast<std::size_t>(counter)];
    }
    os::Segment segment_;
};

// Passes notifications on, and adds up how long they take.
class TimedNotifier : public blocking::Notifier {
public:
    explicit TimedNotifier(std::shared_ptr<blocking::Notifier> inner) : inner_(std::move(inner)) {}
    void notify(ring::Writer& writer) override {
        const auto began = blocking::Clock::now();
        inner_->notify(writer);
        const os::Nanoseconds took = blocking::Clock::now() - began;
        nanoseconds_.fetch_add(static_cast<std::uint64_t>(took.count()), std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t nanoseconds() const { return nanoseconds_.load(std::memory_order_relaxed); }

private:
    std::shared_ptr<blocking::Notifier> inner_;
    std::atomic<std::uint64_t> nanoseconds_ = 0;
};

std::shared_ptr<TimedNotifier> time_notifications(const StreamBase& stream) {
    const auto session = stream.session();
    auto timed = std::make_shared<TimedNotifier>(session->notifier);
    session->notifier = timed;
    return timed;
}

// Until this thread ends, without ever giving it back.
void hold_writer_mutex(const StreamBase& stream) {
    const auto session = stream.writing_session();
    const ReleasedGil released;
    while (!os::is_acquired(session->writer.try_lock_for(blocking::signal_slice))) {
    }
}

ring::Options options_of(const std::string& name, std::uint64_t capacity, std::uint32_t max_readers) {
    return {.name = name, .capacity = capacity, .max_readers = max_readers};
}

using Fields = std::vector<std::pair<std::string, std::size_t>>;

// Where everything is, under the names that the C++ agent prints.
std::vector<std::pair<std::string, Fields>> layout() {
    using base::ReaderInfoHeader, base::ReaderSlot, base::RingHeader;
    Fields ring{{"configBufSizeBytes", offsetof(RingHeader, capacity)},
                {"writerMtx", offsetof(RingHeader, writer_mutex)},
                {"freePos", offsetof(RingHeader, free_pos)},
                {"backPressureCount", offsetof(RingHeader, backpressure_count)},
                {"notificationCount", offsetof(RingHeader, notification_count)},
                {"initialized", offsetof(RingHeader, initialized)},
                {"index0", sizeof(RingHeader)}};
    Fields info{{"readerGen", offsetof(ReaderInfoHeader, reader_gen)},
                {"initialized", offsetof(ReaderInfoHeader, topic_layer_initialized)},
                {"expiredReaders", offsetof(ReaderInfoHeader, expired_readers)},
                {"slotsInitialized", offsetof(ReaderInfoHeader, slots_initialized)},
                {"configMaxReaders", offsetof(ReaderInfoHeader, max_readers)},
                {"readersMinMax", offsetof(ReaderInfoHeader, active_range)}};
    for (std::size_t slot = 0; slot < 2; ++slot) {
        const std::size_t at = sizeof(ReaderInfoHeader) + slot * sizeof(ReaderSlot);
        info.emplace_back("lock", at + offsetof(ReaderSlot, mutex));
        info.emplace_back("position", at + offsetof(ReaderSlot, position));
        info.emplace_back("isActive", at + offsetof(ReaderSlot, is_active));
    }
    Fields counters;
    for (const char* name : {"latencyNsSum", "firstLastDurationNsSum", "writerDurationNsSum", "notificationNsSum",
                             "msgCount", "readersReady", "writersReady", "readerRuns"}) {
        counters.emplace_back(name, counters.size() * sizeof(std::uint64_t));
    }
    return {{"RingBuf", ring}, {"ReaderInfo", info}, {"Stats", counters}};
}

}  // namespace

void bind_agent(nb::module_& module) {
    nb::enum_<Counter>(module, "_Counter", "Of the agents' shared counters.")
        .value("LATENCY_NS_SUM", Counter::latency_ns_sum)
        .value("FIRST_LAST_DURATION_NS_SUM", Counter::first_last_duration_ns_sum)
        .value("WRITER_DURATION_NS_SUM", Counter::writer_duration_ns_sum)
        .value("NOTIFICATION_NS_SUM", Counter::notification_ns_sum)
        .value("MSG_COUNT", Counter::msg_count)
        .value("READERS_READY", Counter::readers_ready)
        .value("WRITERS_READY", Counter::writers_ready)
        .value("READER_RUNS", Counter::reader_runs);
    nb::class_<Counters>(module, "_Counters", "The agents' shared counters; opened, or made with zeros.")
        .def(nb::init<const std::string&>(), nb::arg("path"))
        .def("get", &Counters::get, nb::arg("counter"))
        .def("set", &Counters::set, nb::arg("counter"), nb::arg("value"))
        .def("add", &Counters::add, nb::arg("counter"), nb::arg("value"));
    nb::class_<TimedNotifier>(module, "_TimedNotifier")
        .def_prop_ro("nanoseconds", &TimedNotifier::nanoseconds, "Spent in notifying so far.");
    module.def("_time_notifications", &time_notifications, nb::arg("stream"));
    module.def("_hold_writer_mutex", &hold_writer_mutex, nb::arg("stream"));
    module.def(
        "_open_or_make_foreign",
        [](const std::string& name, std::uint64_t capacity, std::uint32_t max_readers) {
            ring::open_or_make_foreign(options_of(name, capacity, max_readers));
        },
        nb::arg("name"), nb::arg("capacity"), nb::arg("max_readers"));
    module.def(
        "_initialize_foreign",
        [](const std::string& name, std::uint64_t capacity, std::uint32_t max_readers) {
            ring::initialize_foreign(options_of(name, capacity, max_readers));
        },
        nb::arg("name"), nb::arg("capacity"), nb::arg("max_readers"));
    module.def("_layout", &layout);
}

}  // namespace toroni::bindings
