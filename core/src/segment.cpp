#include "toroni/os/segment.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "toroni/os/failure.hpp"

namespace toroni::os {

using base::ErrorCode;

namespace {

// In pieces, and those without signals: on older kernels (before 6.9) tmpfs gives up what it has allocated in a call
// when a signal comes, so that with signals often enough a large one would never end.
int allocate(int descriptor, std::uint64_t size) {
    constexpr std::uint64_t piece = 16 << 20;  // some milliseconds
    sigset_t all, before;
    sigfillset(&all);
    int error = 0;
    for (std::uint64_t at = 0; at < size && error == 0; at += piece) {
        pthread_sigmask(SIG_SETMASK, &all, &before);
        do {
            error = posix_fallocate(descriptor, static_cast<off_t>(at), static_cast<off_t>(std::min(piece, size - at)));
        } while (error == EINTR);  // SIGSTOP cannot be blocked
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    return error;
}

// Nothing where the file system has no limit.
std::optional<std::uint64_t> free_bytes_in(const std::string& directory) {
    struct statvfs status{};
    if (statvfs(directory.c_str(), &status) != 0 || status.f_blocks == 0) return std::nullopt;
    return status.f_bavail * status.f_frsize;
}

[[noreturn]] void fail_for_quota(const std::string& where) {
    throw base::Error(ErrorCode::no_space,
                      "the quota of this user in " + where +
                          " is used up; ask for a smaller capacity, remove unused buses, or raise it (mount -o "
                          "remount,usrquota_block_hardlimit=..., systemd's quota of /dev/shm)",
                      EDQUOT);
}

[[noreturn]] void fail_allocation(const std::string& where, std::uint64_t size, int error) {
    if (error == EDQUOT) fail_for_quota(where);
    if (error != ENOSPC) fail("allocate " + std::to_string(size) + " bytes in " + where, error);
    const auto free_bytes = free_bytes_in(where);
    throw base::Error(ErrorCode::no_space,
                      "shared memory is full: " + std::to_string(size) + " bytes are needed in " + where + ", " +
                          (free_bytes ? std::to_string(*free_bytes) : "too few") +
                          " are free; ask for a smaller capacity, remove unused buses, or enlarge it (mount -o "
                          "remount,size=..., docker --shm-size)",
                      error);
}

[[noreturn]] void fail_to_make(const std::string& where, int error) {
    if (error == EDQUOT) fail_for_quota(where);
    if (error == ENOSPC) {
        throw base::Error(ErrorCode::no_space,
                          "shared memory is full: " + where +
                              " may hold no more files; remove unused ones, or allow more (mount -o "
                              "remount,nr_inodes=...)",
                          error);
    }
    const bool is_no_tmpfs = error == EOPNOTSUPP || error == EISDIR || error == ENOENT || error == ENOTDIR;
    fail("make a file in " + where, error,
         is_no_tmpfs ? "; mount a tmpfs there (mount -t tmpfs tmpfs " + where + ")" : advice(error));
}

[[noreturn]] void fail_for_kind(const std::string& path) {
    throw base::Error(ErrorCode::damaged, path + " is no regular file; remove it, or use another name");
}

// The kernel would send SIGXFSZ, which ends a program.
void check_file_limit(const std::string& where, std::uint64_t size) {
    rlimit limit{};
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || size <= limit.rlim_cur) return;
    fail("allocate " + std::to_string(size) + " bytes in " + where, EFBIG,
         "; this process may make files of " + std::to_string(limit.rlim_cur) +
             " bytes: ask for a smaller capacity, or raise the limit (ulimit -f)");
}

}  // namespace

Descriptor::~Descriptor() {
    if (value_ >= 0) close(value_);
}

Segment::Segment(Descriptor descriptor, std::uint64_t size, Access access, const std::string& what)
    : descriptor_(std::move(descriptor)), size_(size) {
    const int protection = access == Access::read_write ? PROT_READ | PROT_WRITE : PROT_READ;
    void* address = mmap(nullptr, size_, protection, MAP_SHARED, descriptor_.get(), 0);
    if (address == MAP_FAILED) fail("map " + what);
    data_ = static_cast<std::byte*>(address);
    struct stat status{};
    if (fstat(descriptor_.get(), &status) != 0) fail("inspect " + what);
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

Segment::~Segment() {
    if (data_ != nullptr) munmap(data_, size_);
}

std::optional<Segment> Segment::open(const std::string& path, Access access) {
    const int mode = access == Access::read_write ? O_RDWR : O_RDONLY;
    Descriptor descriptor(::open(path.c_str(), mode | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (descriptor.get() < 0) {
        if (errno == ENOENT) return std::nullopt;
        // A link, which is not followed; a directory; a socket.
        if (errno == ELOOP || errno == EISDIR || errno == ENXIO) fail_for_kind(path);
        fail("open " + path + (access == Access::read_write ? " for reading and writing" : " for reading"));
    }
    struct stat status{};
    if (fstat(descriptor.get(), &status) != 0) fail("inspect " + path);
    if (!S_ISREG(status.st_mode)) fail_for_kind(path);
    if (status.st_size == 0) {
        throw base::Error(ErrorCode::not_ready, path + " is empty: another process is making it, or died doing so");
    }
    return Segment(std::move(descriptor), static_cast<std::uint64_t>(status.st_size), access, path);
}

Segment Segment::make_unnamed(const std::string& directory, std::uint64_t size, mode_t mode,
                              std::optional<gid_t> group) {
    Descriptor descriptor(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (descriptor.get() < 0) fail_to_make(directory, errno);
    if (group && fchown(descriptor.get(), static_cast<uid_t>(-1), *group) != 0) {
        fail("give a new file in " + directory + " to group " + std::to_string(*group) +
             ", of which you must be a member");
    }
    if (fchmod(descriptor.get(), mode) != 0) fail("set the mode of a new file in " + directory);  // whatever the umask
    check_file_limit(directory, size);
    // Asked first: others must not find it full meanwhile.
    const auto free_bytes = free_bytes_in(directory);
    const int error = free_bytes && *free_bytes < size ? ENOSPC : allocate(descriptor.get(), size);
    if (error != 0) fail_allocation(directory, size, error);
    return Segment(std::move(descriptor), size, Access::read_write, "a new file in " + directory);
}

bool Segment::link(const std::string& path) const {
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_.get());
    if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno == EEXIST) return false;
    fail("make " + path, errno,
         errno == ENOENT ? "; it is made by way of /proc, which must be mounted" : advice(errno));
}

bool Segment::is_at(const std::string& path) const {
    struct stat there{};
    return lstat(path.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_;
}

bool Segment::try_flock() const {
    int result = 0;
    do {
        result = flock(descriptor_.get(), LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EWOULDBLOCK) fail("lock a segment");
    return result == 0;
}

void Segment::unlock_flock() const { flock(descriptor_.get(), LOCK_UN); }

void Segment::allocate_pages(const std::string& path) const {
    if (const int error = allocate(descriptor_.get(), size_); error != 0) {
        fail_allocation(path.substr(0, path.rfind('/')), size_, error);
    }
}

void Segment::prefault(Access access) const noexcept {
#if defined(MADV_POPULATE_READ) && defined(MADV_POPULATE_WRITE)
    // Only a hint: kernels before 5.14 do not know it.
    madvise(data_, size_, access == Access::read_write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
#else
    static_cast<void>(access);
#endif
}

}  // namespace toroni::os
