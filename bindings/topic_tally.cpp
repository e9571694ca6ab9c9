// Reading that only counts.
#include "message.hpp"
#include "topic_reader.hpp"

namespace toroni::bindings {

nb::object TopicReader::tally(std::size_t most, std::optional<double> timeout) {
    struct Count {
        std::uint64_t messages = 0, bytes = 0;
    };
    const blocking::Deadline deadline(to_timeout(timeout));
    check_most(most);
    nb::dict result;
    const Use use(*this, deadline);
    if (use && has_pending()) {  // copies already: one at a time
        const nb::object message = pop();
        result[topic_of(message)] = nb::make_tuple(1, nb::len(data_of(message)));
        return result;
    }
    while (use && next_run(most, most_bytes_a_run, deadline)) {
        std::unordered_map<void*, std::pair<const ring::Frame*, Count>> counts;
        const auto frames = open_reader().frames();
        for (const ring::Frame& frame : frames) {
            auto& [first, count] = counts.try_emplace(frame.tag, &frame, Count{}).first->second;
            ++count.messages;
            count.bytes += frame.payload();
        }
        for (const auto& [topic, counted] : counts) {
            const auto& [first, count] = counted;
            result[topic_name_of(*first)] = nb::make_tuple(count.messages, count.bytes);
        }
        const base::Position last = frames.back().position;
        if (open_reader().commit()) {
            note_last(last);
            break;
        }
        result.clear();
        report_loss(ring::ReadStatus::lost);
        if (deadline.has_passed()) break;
    }
    return result;
}

}  // namespace toroni::bindings
