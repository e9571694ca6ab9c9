#include "toroni/ring/foreign_segments.hpp"

#include "toroni/base/fence.hpp"
#include "toroni/os/robust_mutex.hpp"
#include "toroni/ring/segments.hpp"

namespace toroni::ring {

using os::Segment;

namespace {

Segment open_or_make(const Options& options, const std::string& path, std::uint64_t size) {
    while (true) {
        if (auto existing = Segment::open(path, os::Access::read_write)) return std::move(*existing);
        Segment made = Segment::make_unnamed(options.directory, size, options.mode, options.group);
        if (made.link(path)) return made;
    }
}

struct Pair {
    Segment ring;
    Segment info;
};

std::uint64_t ring_size(const Options& options) { return sizeof(base::RingHeader) + options.capacity; }
std::uint64_t info_size(const Options& options) {
    return sizeof(base::ReaderInfoHeader) + options.max_readers * sizeof(base::ReaderSlot);
}

void check(const Options& options) {
    check_sizes(options);
    if (options.capacity != 0 && options.max_readers != 0) return;
    throw base::Error(base::ErrorCode::invalid_argument, "a foreign bus needs a capacity and a number of readers");
}

Pair open_or_make_both(const Options& options) {
    check(options);
    const Paths paths = paths_of(options.directory, options.name);
    return {open_or_make(options, paths.ring, ring_size(options)),
            open_or_make(options, paths.reader_info, info_size(options))};
}

void check_length(const Segment& segment, std::uint64_t needed, const std::string& what) {
    if (segment.size() >= needed) return;
    throw base::Error(base::ErrorCode::incompatible, what + " has " + std::to_string(segment.size()) + " bytes, and " +
                                                         std::to_string(needed) + " are needed; remove it first");
}

}  // namespace

void open_or_make_foreign(const Options& options) { static_cast<void>(open_or_make_both(options)); }

void initialize_foreign(const Options& options) {
    const auto [ring, info] = open_or_make_both(options);
    check_length(ring, ring_size(options), "the ring of '" + options.name + "'");
    check_length(info, info_size(options), "the reader info of '" + options.name + "'");
    auto* ring_header = reinterpret_cast<base::RingHeader*>(ring.data());
    auto* info_header = reinterpret_cast<base::ReaderInfoHeader*>(info.data());
    // Initialised last: who opens it meanwhile waits.
    ring_header->initialized = info_header->slots_initialized = info_header->topic_layer_initialized = 0;
    base::fence::seq_cst();
    ring_header->capacity = options.capacity;
    os::initialize_robust_mutex(ring_header->writer_mutex);
    ring_header->free_pos.store(0, std::memory_order_relaxed);
    ring_header->backpressure_count.store(0, std::memory_order_relaxed);
    ring_header->notification_count.store(0, std::memory_order_relaxed);
    info_header->reader_gen.store(0, std::memory_order_relaxed);
    info_header->expired_readers.store(0, std::memory_order_relaxed);
    info_header->max_readers = static_cast<std::uint16_t>(options.max_readers);
    info_header->active_range.store(0, std::memory_order_relaxed);
    auto* slots = reinterpret_cast<base::ReaderSlot*>(info.data() + sizeof *info_header);
    for (std::uint32_t i = 0; i < options.max_readers; ++i) {
        os::initialize_robust_mutex(slots[i].mutex);
        slots[i].position.store(0, std::memory_order_relaxed);
        slots[i].is_active.store(0, std::memory_order_relaxed);
    }
    base::fence::release();
    ring_header->initialized = info_header->slots_initialized = info_header->topic_layer_initialized = 1;
}

}  // namespace toroni::ring
