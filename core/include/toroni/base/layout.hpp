// Every byte that processes share, described once. Little-endian, 64-bit Linux, glibc.
//
//   /dev/shm/toroni-NAME-rb    mapped read-write by writers, read-only by readers
//
//   0        8              48         56             64             72      80             E
//   +--------+--------------+----------+--------------+--------------+-------+------...-----+-----------+
//   |capacity| writer_mutex | free_pos | backpressure | notification | init. | data, a ring | extension |
//   |  u64   | 40 bytes     | u64      | _count u64   | _count u64   | u8    | of capacity  | (ours)    |
//   +--------+--------------+----------+--------------+--------------+-------+------...-----+-----------+
//
//   /dev/shm/toroni-NAME-ri    mapped read-only by writers, read-write by readers
//
//   0            8        16        24       26          28             32                      E
//   +------------+--------+---------+--------+-----------+--------------+----------...----------+---------+
//   | reader_gen | init.  | expired | init.  |max_readers| active_range | slots of 56 bytes:    |extension|
//   | u64        | u8     | u64     | u8     | u16       | u32          | mutex,position,active | (ours)  |
//   +------------+--------+---------+--------+-----------+--------------+----------...----------+---------+
//
//   E: rounded up to 64. The extension is absent where a C++ or Java process made the segment. Offsets are
//   those of x86-64, where a pthread_mutex_t has 40 bytes; on aarch64 it has 48 and what follows moves.
//
//   a frame in the ring:   u8 type (0 message, 1 padding) | u32 length of the body | body
//   a body with a topic:   u64 generation | u8 to descendants (0, 1) | topic, UTF-8 | NUL | payload
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "toroni/base/position.hpp"

namespace toroni::base {

static_assert(sizeof(void*) == 8, "Toroni needs a 64-bit platform");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

inline constexpr std::size_t line_size = 64;

// ---- frames -----------------------------------------------------------------------------------------------

enum class FrameType : std::uint8_t { message = 0, padding = 1 };

inline constexpr std::uint64_t frame_header_size = 5;
inline constexpr std::uint64_t min_capacity = 64;                      // one landmark a byte
inline constexpr std::uint64_t max_capacity = std::uint64_t{1} << 32;  // a body length is a u32
inline constexpr std::uint32_t max_readers_limit = 2048;               // what the kernel's robust list walks

// ---- topic messages, unaligned ----------------------------------------------------------------------------

inline constexpr std::size_t topic_generation_offset = 0;   // u64: reader_gen when the message was created
inline constexpr std::size_t topic_descendants_offset = 8;  // u8: 1 if posted to all below the topic too
inline constexpr std::size_t topic_name_offset = 9;         // ended by the first NUL
inline constexpr std::size_t max_topic_size = 4096;         // bytes without the NUL; a longer one is damage

// ---- -rb ------------------------------------------------------------------------------------------------

struct RingHeader {
    std::uint64_t capacity;                         // maker, once
    pthread_mutex_t writer_mutex;                   // robust, process-shared; held while messages are written
    std::atomic<Position> free_pos;                 // writer under writer_mutex: the stream end
    std::atomic<std::uint64_t> backpressure_count;  // any writer, statistics
    std::atomic<std::uint64_t> notification_count;  // any writer, statistics
    std::uint8_t initialized;                       // maker, once: 1
};

inline constexpr std::uint32_t extension_version = 1;
inline constexpr char ring_magic[8] = {'T', 'O', 'R', 'O', 'N', 'I', 'r', 'b'};
inline constexpr char reader_info_magic[8] = {'T', 'O', 'R', 'O', 'N', 'I', 'r', 'i'};

struct ExtensionIdentity {  // maker, once
    char magic[8];
    std::uint32_t version;
    std::uint32_t size;           // bytes of the whole extension
    std::uint64_t bus_id;         // random, the same in both segments
    std::uint64_t created_ns;     // CLOCK_REALTIME
    std::uint64_t pid_namespace;  // inode of the maker's PID namespace
};

enum class NotifierKind : std::uint32_t {
    futex = 1,      // wake_seq
    multicast = 2,  // a UDP datagram, as C++ and Java processes use
    poll = 3,       // nobody is woken
    custom = 4,     // the application's own
};

// How the readers of a bus are woken. Addresses and port in network byte order; 0 unless multicast.
struct NotifierAddress {
    NotifierKind kind;
    std::uint32_t group;
    std::uint32_t interface;
    std::uint16_t port;
    std::uint16_t reserved;
    bool operator==(const NotifierAddress&) const = default;
};

// Where the count of messages stood at one position. Valid if both positions agree; see ring/tally.hpp.
struct CountRecord {
    std::atomic<Position> begin;  // stored first
    std::atomic<std::uint64_t> messages;
    std::atomic<std::uint64_t> bytes;  // of payload
    std::atomic<Position> end;         // stored last
};

inline constexpr std::size_t landmark_count = 64;

struct RingExtension {
    alignas(line_size) ExtensionIdentity identity;
    NotifierAddress notifier;  // maker, once
    // Writer under writer_mutex: where the furthest write so far ends, or some way beyond, announced before its bytes
    // are touched, never lowered. Behind it by more than the capacity bytes may be overwritten, all others are intact.
    // A writer that dies in the middle leaves it raised: pessimistic, never wrong.
    alignas(line_size) std::atomic<Position> claim_pos;
    // Any writer, after it published: futex word of sleeping readers.
    alignas(line_size) std::atomic<std::uint32_t> wake_seq;
    // Any writer, behind the system call: whoever sleeps on a wake_seq before this one has been woken.
    std::atomic<std::uint32_t> woken_seq;
    // Robust; held by the one writer that waits for room. Its lock word is the flag "a writer waits".
    alignas(line_size) pthread_mutex_t room_mutex;
    // Writer under writer_mutex: two records, written in turn, so that a death leaves one valid.
    alignas(line_size) CountRecord counts[2];
    alignas(
        line_size) std::atomic<std::uint64_t> count_epoch;  // writer under writer_mutex: raised when the count broke
    std::atomic<std::uint64_t> overwritten;  // writer under writer_mutex: publications that overtook a reader
    // Writer under writer_mutex, after free_pos: position of the first frame in each 1/64 of the ring.
    alignas(line_size) std::atomic<Position> landmarks[landmark_count];
};

// ---- -ri ------------------------------------------------------------------------------------------------

struct ReaderSlot {
    pthread_mutex_t mutex;                // its lock word: the owner's keeper thread; see os/keeper.hpp
    std::atomic<Position> position;       // owner: a copy of its position, may lag, never runs ahead
    std::atomic<std::uint8_t> is_active;  // owner: counts for backpressure
};

struct ReaderInfoHeader {
    std::atomic<std::uint64_t> reader_gen;       // any reader: raised by each new subscription
    std::uint8_t topic_layer_initialized;        // maker, once
    std::atomic<std::uint64_t> expired_readers;  // any reader, statistics
    std::uint8_t slots_initialized;              // maker, once
    std::uint16_t max_readers;                   // maker, once
    std::atomic<std::uint32_t> active_range;     // any reader: min << 16 | (max + 1) of the active slots
};

inline constexpr std::size_t label_size = 64;

enum class WaitKind : std::uint32_t { none = 0, futex = 1 };

struct SlotEntry {  // the slot's owner; the counters at its leisure, the rest while the slot is not active
    alignas(line_size) std::atomic<std::uint32_t> keeper_tid;  // entry is valid if the lock word says the same
    std::atomic<std::uint32_t> pid;
    std::atomic<std::uint64_t> start_time;  // of the process, clock ticks since boot
    std::atomic<std::uint32_t> wait_kind;
    std::atomic<std::uint32_t> sleep_seq;  // the wake_seq that it sleeps on, stored before it looks whether to
    std::atomic<std::uint64_t> messages;
    std::atomic<std::uint64_t> bytes;
    std::atomic<std::uint64_t> losses;
    std::atomic<std::uint64_t> lost_bytes;
    alignas(line_size) std::atomic<char> label[label_size];  // UTF-8, ended by NUL
};

struct ReaderInfoExtension {  // followed by max_readers SlotEntry
    alignas(line_size) ExtensionIdentity identity;
    alignas(line_size) std::atomic<std::uint64_t> activation_seq;  // any reader: raised by every activation
    // A reader that made room while a writer waits: futex word of the waiting writer.
    alignas(line_size) std::atomic<std::uint32_t> space_seq;
    // A bit a slot, set and cleared by the slot's owner: this reader sleeps, or is about to.
    alignas(line_size) std::atomic<std::uint64_t> waiting[max_readers_limit / 64];
};

// ---- the offsets of the format, stated literally ----------------------------------------------------------

#if defined(__x86_64__)
static_assert(sizeof(pthread_mutex_t) == 40);
static_assert(offsetof(RingHeader, capacity) == 0);
static_assert(offsetof(RingHeader, writer_mutex) == 8);
static_assert(offsetof(RingHeader, free_pos) == 48);
static_assert(offsetof(RingHeader, backpressure_count) == 56);
static_assert(offsetof(RingHeader, notification_count) == 64);
static_assert(offsetof(RingHeader, initialized) == 72);
static_assert(sizeof(RingHeader) == 80);
static_assert(sizeof(ReaderSlot) == 56);
static_assert(offsetof(ReaderSlot, position) == 40);
static_assert(offsetof(ReaderSlot, is_active) == 48);
#endif
static_assert(offsetof(ReaderInfoHeader, reader_gen) == 0);
static_assert(offsetof(ReaderInfoHeader, topic_layer_initialized) == 8);
static_assert(offsetof(ReaderInfoHeader, expired_readers) == 16);
static_assert(offsetof(ReaderInfoHeader, slots_initialized) == 24);
static_assert(offsetof(ReaderInfoHeader, max_readers) == 26);
static_assert(offsetof(ReaderInfoHeader, active_range) == 28);
static_assert(sizeof(ReaderInfoHeader) == 32);

static_assert(sizeof(ExtensionIdentity) == 40);
static_assert(offsetof(RingExtension, notifier) == 40);
static_assert(sizeof(NotifierAddress) == 16);
static_assert(offsetof(RingExtension, claim_pos) == 64);
static_assert(offsetof(RingExtension, wake_seq) == 128);
static_assert(offsetof(RingExtension, woken_seq) == 132);
static_assert(offsetof(RingExtension, room_mutex) == 192);
static_assert(offsetof(RingExtension, counts) == 256);
static_assert(offsetof(RingExtension, count_epoch) == 320);
static_assert(offsetof(RingExtension, overwritten) == 328);
static_assert(offsetof(RingExtension, landmarks) == 384);
static_assert(sizeof(RingExtension) == 896);
static_assert(offsetof(ReaderInfoExtension, activation_seq) == 64);
static_assert(offsetof(ReaderInfoExtension, space_seq) == 128);
static_assert(offsetof(ReaderInfoExtension, waiting) == 192);
static_assert(sizeof(ReaderInfoExtension) == 448);
static_assert(sizeof(SlotEntry) == 128);

// ---- sizes of the files -----------------------------------------------------------------------------------

[[nodiscard]] constexpr std::uint64_t round_up_to_line(std::uint64_t size) noexcept {
    return (size + line_size - 1) / line_size * line_size;
}
[[nodiscard]] constexpr std::uint64_t ring_extension_offset(std::uint64_t capacity) noexcept {
    return round_up_to_line(sizeof(RingHeader) + capacity);
}
[[nodiscard]] constexpr std::uint64_t ring_size(std::uint64_t capacity) noexcept {
    return ring_extension_offset(capacity) + sizeof(RingExtension);
}
[[nodiscard]] constexpr std::uint64_t reader_info_extension_offset(std::uint64_t max_readers) noexcept {
    return round_up_to_line(sizeof(ReaderInfoHeader) + max_readers * sizeof(ReaderSlot));
}
[[nodiscard]] constexpr std::uint64_t reader_info_extension_size(std::uint64_t max_readers) noexcept {
    return sizeof(ReaderInfoExtension) + max_readers * sizeof(SlotEntry);
}
[[nodiscard]] constexpr std::uint64_t reader_info_size(std::uint64_t max_readers) noexcept {
    return reader_info_extension_offset(max_readers) + reader_info_extension_size(max_readers);
}

}  // namespace toroni::base
