#include "toroni/ring/segments.hpp"

#include <cstring>
#include <new>

#include "toroni/os/process.hpp"
#include "toroni/os/robust_mutex.hpp"
#include "toroni/ring/notification.hpp"

namespace toroni::ring {

using base::Error;
using base::ErrorCode;
using os::Segment;

namespace {

void initialize(base::ExtensionIdentity& identity, const char* magic, std::uint64_t size, std::uint64_t bus_id) {
    std::memcpy(identity.magic, magic, sizeof identity.magic);
    identity.version = base::extension_version;
    identity.size = static_cast<std::uint32_t>(size);
    identity.bus_id = bus_id;
    identity.created_ns = os::realtime_ns();
    identity.pid_namespace = os::pid_namespace();
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw Error(ErrorCode::damaged, path + " is not a usable Toroni segment: " + why +
                                        "; if nobody uses it, remove the bus and make it anew");
}

// Behind what the header tells of there is room for an extension, also one of a later version. Of a file that is
// longer by far nothing but holes can be meant, and mapping it all would fill them with pages.
void check_length(const Segment& segment, std::uint64_t told, const std::string& path, const char* what,
                  std::uint64_t number) {
    constexpr std::uint64_t longest_extension = 1u << 20;
    if (segment.size() >= told && segment.size() - told <= longest_extension) return;
    refuse(path, std::to_string(segment.size()) + " bytes are too " + (segment.size() < told ? "short" : "long") +
                     " for " + what + " " + std::to_string(number));
}

}  // namespace

Paths paths_of(const std::string& directory, const std::string& name) {
    // NAME_MAX is 255, and "toroni-" and "-rb" are ours.
    constexpr std::size_t longest = 255 - 7 - 3;
    if (name.empty() || name.size() > longest || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
        throw Error(ErrorCode::invalid_argument, "a bus name has 1 to " + std::to_string(longest) +
                                                     " bytes and neither a slash nor a NUL; got '" +
                                                     name.substr(0, name.find('\0')) + "'");
    }
    const std::string prefix = directory + "/toroni-" + name;
    return {prefix + "-rb", prefix + "-ri"};
}

void check_sizes(const Options& options) {
    if (options.capacity != 0 && !is_valid_capacity(options.capacity)) {
        throw Error(ErrorCode::invalid_argument, "capacity must be a power of two from " +
                                                     std::to_string(base::min_capacity) + " bytes to 4 GiB; got " +
                                                     std::to_string(options.capacity));
    }
    if (options.max_readers > base::max_readers_limit) {
        throw Error(ErrorCode::invalid_argument, "max_readers must be 1 to " + std::to_string(base::max_readers_limit) +
                                                     "; got " + std::to_string(options.max_readers));
    }
}

// A new file is zero-filled: only what differs from zero is written, and nobody else sees it yet.
Segment make_ring(const Options& options, std::uint64_t bus_id) {
    const std::uint64_t capacity = options.capacity != 0 ? options.capacity : default_capacity;
    Segment segment = Segment::make_unnamed(options.directory, base::ring_size(capacity), options.mode, options.group);
    auto* header = new (segment.data()) base::RingHeader{};
    header->capacity = capacity;
    os::initialize_robust_mutex(header->writer_mutex);
    auto* extension = new (segment.data() + base::ring_extension_offset(capacity)) base::RingExtension{};
    initialize(extension->identity, base::ring_magic, sizeof *extension, bus_id);
    extension->notifier = options.notifier.value_or(base::NotifierAddress{.kind = base::NotifierKind::futex});
    os::initialize_robust_mutex(extension->room_mutex);
    header->initialized = 1;
    return segment;
}

Segment make_reader_info(const Options& options) {
    const std::uint32_t readers = options.max_readers != 0 ? options.max_readers : default_max_readers;
    const mode_t mode = options.mode | (options.mode & 0444) >> 1;  // who may read the ring may also hold slots
    Segment segment = Segment::make_unnamed(options.directory, base::reader_info_size(readers), mode, options.group);
    auto* header = new (segment.data()) base::ReaderInfoHeader{};
    header->max_readers = static_cast<std::uint16_t>(readers);
    for (std::uint32_t i = 0; i < readers; ++i) {
        auto* slot = new (segment.data() + sizeof *header + i * sizeof(base::ReaderSlot)) base::ReaderSlot{};
        os::initialize_robust_mutex(slot->mutex);
    }
    auto* extension_at = segment.data() + base::reader_info_extension_offset(readers);
    auto* extension = new (extension_at) base::ReaderInfoExtension{};
    initialize(extension->identity, base::reader_info_magic, base::reader_info_extension_size(readers),
               os::random_id());
    header->topic_layer_initialized = 1;
    header->slots_initialized = 1;
    return segment;
}

base::ExtensionIdentity* find_extension(const Segment& segment, std::uint64_t offset, std::uint64_t size,
                                        const char* magic) {
    if (segment.size() < offset + size) return nullptr;
    auto* identity = reinterpret_cast<base::ExtensionIdentity*>(segment.data() + offset);
    const bool known = std::memcmp(identity->magic, magic, sizeof identity->magic) == 0 &&
                       identity->version == base::extension_version && identity->size == size;
    return known ? identity : nullptr;
}

base::ExtensionIdentity* check_ring(const Segment& segment, const std::string& path) {
    if (segment.size() < sizeof(base::RingHeader)) refuse(path, "shorter than its header");
    const auto& header = *reinterpret_cast<const base::RingHeader*>(segment.data());
    if (header.initialized == 0)
        throw Error(ErrorCode::not_ready, path + " is not initialised: another process is making it, or died doing so");
    const std::uint64_t capacity = load_once(header.capacity);
    if (!is_valid_capacity(capacity)) {
        refuse(path, "its capacity, " + std::to_string(capacity) + ", is not a power of two from 64 to 2^32");
    }
    check_length(segment, sizeof(base::RingHeader) + capacity, path, "a capacity of", capacity);
    if (!os::looks_like_robust_mutex(header.writer_mutex)) refuse(path, "its writer mutex is not a robust mutex");
    auto* identity =
        find_extension(segment, base::ring_extension_offset(capacity), sizeof(base::RingExtension), base::ring_magic);
    if (identity != nullptr) {
        const auto& extension = *reinterpret_cast<const base::RingExtension*>(identity);
        if (!os::looks_like_robust_mutex(extension.room_mutex)) refuse(path, "its room mutex is not a robust mutex");
        if (!is_known(load_once(extension.notifier.kind))) {
            throw Error(ErrorCode::incompatible, path + " uses a notifier that this version does not know");
        }
    }
    return identity;
}

base::ExtensionIdentity* check_reader_info(const Segment& segment, const std::string& path) {
    if (segment.size() < sizeof(base::ReaderInfoHeader)) refuse(path, "shorter than its header");
    const auto& header = *reinterpret_cast<const base::ReaderInfoHeader*>(segment.data());
    if (header.slots_initialized == 0)
        throw Error(ErrorCode::not_ready, path + " is not initialised: another process is making it, or died doing so");
    const std::uint16_t readers = load_once(header.max_readers);
    if (readers == 0) refuse(path, "it has no reader slots");
    if (readers > base::max_readers_limit) {
        refuse(path, "it has " + std::to_string(readers) + " reader slots, more than " +
                         std::to_string(base::max_readers_limit));
    }
    check_length(segment, sizeof(base::ReaderInfoHeader) + readers * sizeof(base::ReaderSlot), path, "a max_readers of",
                 readers);
    return find_extension(segment, base::reader_info_extension_offset(readers),
                          base::reader_info_extension_size(readers), base::reader_info_magic);
}

}  // namespace toroni::ring
