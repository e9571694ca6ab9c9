#include "toroni/ring/memory.hpp"

#include <unistd.h>

#include <cerrno>

#include "toroni/os/failure.hpp"
#include "toroni/os/lock_word.hpp"
#include "toroni/os/process.hpp"
#include "toroni/ring/notification.hpp"
#include "toroni/ring/segments.hpp"

namespace toroni::ring {

using base::Error;
using base::ErrorCode;
using os::Access;
using os::Segment;

namespace {

// Two containers that share /dev/shm but not their PID namespace can both have a thread 1: the death of one
// would free a lock that the other holds.
void check_namespace(const base::ExtensionIdentity* identity, const std::string& path) {
    if (identity == nullptr || identity->pid_namespace == 0) return;
    const std::uint64_t ours = os::pid_namespace();
    if (ours == 0 || ours == identity->pid_namespace) return;
    throw Error(ErrorCode::incompatible,
                path + " was made in another PID namespace (pid:[" + std::to_string(identity->pid_namespace) +
                    "], ours is pid:[" + std::to_string(ours) +
                    "]), where thread ids mean other threads, so that its locks cannot be trusted; let all containers "
                    "share one PID namespace (docker run --pid=container:NAME, shareProcessNamespace in a pod)");
}

bool same_bus(const base::ExtensionIdentity* ring, const base::ExtensionIdentity* info) {
    return ring == nullptr || info == nullptr || ring->bus_id == info->bus_id;
}

template <class Number>
void check_same(const std::string& path, const char* what, Number has, Number asked) {
    if (asked == 0 || asked == has) return;
    throw Error(ErrorCode::incompatible, path + " exists with " + what + " " + std::to_string(has) + ", not " +
                                             std::to_string(asked) + "; open it without asking for one, or remove it");
}

bool creates(const Options& options) { return options.create && options.role != Role::observer; }

// Holds a segment's lock, and gives it back explicitly: a child that was forked meanwhile has the descriptor too,
// and closing ours would not end the lock.
class FileLock {
public:
    FileLock() = default;
    explicit FileLock(const Segment& segment) noexcept : segment_(&segment) {}
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() { unlock(); }
    void unlock() noexcept {
        if (segment_ != nullptr) segment_->unlock_flock();
        segment_ = nullptr;
    }
    void hold(const Segment& segment) noexcept { segment_ = &segment; }
    void release() noexcept { segment_ = nullptr; }

private:
    const Segment* segment_ = nullptr;
};

// -ri, mapped with the rights that the role needs.
struct OpenedInfo {
    Segment segment;
    bool is_new = false;           // we made it, and hold its lock since before it had a name
    std::optional<Segment> maker;  // who holds that lock, if it is not `segment`
};

// C++ and Java processes make -rb first, then -ri, and write the headers last. A -ri of ours, made in between, would
// be theirs too, or be taken away from under them.
void wait_for_foreign_maker(const Paths& paths) {
    const auto ring = Segment::open(paths.ring, Access::read_only);  // throws not_ready while it is empty
    if (!ring || check_ring(*ring, paths.ring) != nullptr) return;
    throw Error(ErrorCode::not_ready, paths.ring + " is there without " + paths.reader_info +
                                          ": a C++ or Java process is making the bus, or died doing so; if nobody "
                                          "does, remove the bus and make it anew");
}

OpenedInfo open_or_make_reader_info(const Options& options, const Paths& paths, Access access) {
    const std::string& path = paths.reader_info;
    while (true) {
        if (auto existing = Segment::open(path, access)) return {std::move(*existing), false, std::nullopt};
        wait_for_foreign_maker(paths);
        if (!creates(options)) throw Error(ErrorCode::not_found, "there is no bus '" + options.name + "'");
        Segment made = make_reader_info(options);
        if (!made.try_flock() || !made.link(path)) continue;  // somebody else was first
        if (access == Access::read_write) return {std::move(made), true, std::nullopt};
        FileLock lock(made);
        try {
            auto reopened = Segment::open(path, access);
            lock.release();
            return {std::move(reopened.value()), true, std::move(made)};
        } catch (...) {
            unlink(path.c_str());
            throw;
        }
    }
}

// The lock of a -ri that somebody else made, unless it is being made or removed.
void lock_existing(const Segment& info, const Paths& paths, const std::string& name) {
    if (!info.try_flock()) {
        throw Error(ErrorCode::not_ready, "another process is making or removing the bus '" + name + "'");
    }
    if (!info.is_at(paths.reader_info)) {
        throw Error(ErrorCode::not_ready, "another process has just removed the bus '" + name + "'");
    }
}

bool remove_file(const std::string& path) {
    if (unlink(path.c_str()) == 0) return true;
    if (errno == ENOENT) return false;
    os::fail("remove " + path);
}

// Under -ri's lock: nobody else makes, replaces or removes -rb. A ring is made for a -ri of our own making only:
// another one that has none was left by a maker or a remover that died, and readers of the removed ring may still
// hold slots in it, which must not count for the new one. It goes, and the bus is made from the beginning.
Segment make_or_replace_ring(const Options& options, const Paths& paths, Access access,
                             const base::ExtensionIdentity* info, bool info_is_new) {
    if (auto existing = Segment::open(paths.ring, access)) {
        if (same_bus(check_ring(*existing, paths.ring), info)) return std::move(*existing);
        if (creates(options)) remove_file(paths.ring);
    }
    if (!creates(options)) {
        throw Error(ErrorCode::not_found,
                    "there is no bus '" + options.name +
                        "', only half of one, which a process left "
                        "that died while it made or removed it; whoever opens it to use it makes it whole");
    }
    if (!info_is_new && info != nullptr) {
        remove_file(paths.reader_info);
        throw Error(ErrorCode::not_ready, paths.reader_info + " was left without its ring, and has been removed");
    }
    Segment made = make_ring(options, info == nullptr ? os::random_id() : info->bus_id);
    if (made.link(paths.ring)) {
        if (access == Access::read_write) return made;
        if (auto reopened = Segment::open(paths.ring, access)) return std::move(*reopened);
    }
    throw Error(ErrorCode::not_ready, paths.ring + " is being made by a process that knows no lock");
}

}  // namespace

std::shared_ptr<Memory> Memory::open(const Options& options) {
    check_sizes(options);
    const Paths paths = paths_of(options.directory, options.name);
    const Access ring_access = ring::may_write(options.role) ? Access::read_write : Access::read_only;
    const Access info_access = ring::may_read(options.role) ? Access::read_write : Access::read_only;

    OpenedInfo opened = open_or_make_reader_info(options, paths, info_access);
    Segment& info = opened.segment;
    FileLock lock;
    if (opened.is_new) lock.hold(opened.maker ? *opened.maker : info);
    const auto* info_identity = check_reader_info(info, paths.reader_info);
    check_namespace(info_identity, paths.reader_info);

    std::optional<Segment> ring;
    try {
        ring = Segment::open(paths.ring, ring_access);
        if (opened.is_new || !ring || !same_bus(check_ring(*ring, paths.ring), info_identity)) {
            if (!opened.is_new) {
                lock_existing(info, paths, options.name);
                lock.hold(info);
            }
            ring = make_or_replace_ring(options, paths, ring_access, info_identity, opened.is_new);
        }
    } catch (const Error& error) {
        // Nothing half made stays; who has it open starts over. But a foreign maker that came with its -rb just now
        // goes on with our -ri.
        if (opened.is_new && error.code() != ErrorCode::not_ready) unlink(paths.reader_info.c_str());
        throw;
    }
    check_namespace(check_ring(*ring, paths.ring), paths.ring);

    // Foreign makers leave sparse files; ours has its pages since it was made.
    if (ring_access == Access::read_write && !check_ring(*ring, paths.ring)) ring->allocate_pages(paths.ring);
    if (info_access == Access::read_write && !info_identity) info.allocate_pages(paths.reader_info);
    lock.unlock();
    auto memory = std::make_shared<Memory>(std::move(*ring), std::move(info), options, paths.ring);
    check_same(paths.ring, "a capacity of", memory->capacity(), options.capacity);
    check_same(paths.reader_info, "max_readers", memory->max_readers(), options.max_readers);
    if (options.role != Role::observer) check_same_notifier(paths.ring, memory->notifier(), options.notifier);
    return memory;
}

bool Memory::remove(const std::string& name, const std::string& directory) {
    const Paths paths = paths_of(directory, name);
    std::optional<Segment> info;
    bool is_empty = false;  // a file that cannot be mapped, but removed
    try {
        info = Segment::open(paths.reader_info, Access::read_only);
    } catch (const Error& error) {
        is_empty = error.code() == ErrorCode::not_ready;
        if (!is_empty) throw;
    }
    FileLock lock;
    if (info) {
        lock_existing(*info, paths, name);
        lock.hold(*info);
    }
    const bool ring_was_there = remove_file(paths.ring);  // -rb first: a -ri without it is known to be dead
    // Without a lock no -ri is removed that somebody may just have made.
    const bool info_was_there = (info || is_empty) && remove_file(paths.reader_info);
    return ring_was_there || info_was_there;
}

Memory::Memory(Segment ring, Segment reader_info, const Options& options, std::string ring_path)
    : ring_segment_(std::move(ring)),
      info_segment_(std::move(reader_info)),
      role_(options.role),
      ring_path_(std::move(ring_path)) {
    ring_ = reinterpret_cast<base::RingHeader*>(ring_segment_.data());
    capacity_ = load_once(ring_->capacity);
    info_ = reinterpret_cast<base::ReaderInfoHeader*>(info_segment_.data());
    max_readers_ = load_once(info_->max_readers);
    // The bytes may have changed since they were checked: check the copies that are kept.
    if (!is_valid_capacity(capacity_) || ring_segment_.size() < sizeof *ring_ + capacity_ || max_readers_ == 0 ||
        max_readers_ > base::max_readers_limit ||
        info_segment_.size() < sizeof *info_ + max_readers_ * sizeof(base::ReaderSlot)) {
        throw Error(ErrorCode::damaged, "the headers of a segment changed while it was opened");
    }
    slots_ = reinterpret_cast<base::ReaderSlot*>(info_segment_.data() + sizeof *info_);
    ring_extension_ = reinterpret_cast<base::RingExtension*>(find_extension(
        ring_segment_, base::ring_extension_offset(capacity_), sizeof(base::RingExtension), base::ring_magic));
    info_extension_ = reinterpret_cast<base::ReaderInfoExtension*>(
        find_extension(info_segment_, base::reader_info_extension_offset(max_readers_),
                       base::reader_info_extension_size(max_readers_), base::reader_info_magic));
    if (info_extension_ != nullptr) entries_ = reinterpret_cast<base::SlotEntry*>(info_extension_ + 1);
    notifier_ = notifier_of(ring_extension_, options.notifier);
    if (role_ != Role::observer) {  // who looks at a few fields, and often at all buses there are
        ring_segment_.prefault(may_write() ? Access::read_write : Access::read_only);
        info_segment_.prefault(may_read() ? Access::read_write : Access::read_only);
    }
    ring_segment_.close_descriptor();
    info_segment_.close_descriptor();
}

std::shared_ptr<os::Keeper> Memory::keeper() {
    if (keeping_->generation != os::fork_generation()) {
        // In a forked child: the parent's mutex may be held by a thread that does not exist here.
        static_cast<void>(keeping_.release());
        keeping_ = std::make_unique<Keeping>();
    }
    std::lock_guard guard(keeping_->mutex);
    auto keeper = keeping_->keeper.lock();
    if (!keeper) {
        keeper = os::Keeper::start(os::lock_word_address(slots_[0].mutex), sizeof(base::ReaderSlot), max_readers_);
        keeping_->keeper = keeper;
    }
    return keeper;
}

}  // namespace toroni::ring
