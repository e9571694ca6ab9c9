#include "toroni/os/segment.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "toroni/os/failure.hpp"

namespace toroni::os {

using base::ErrorCode;

namespace {

int allocate(int descriptor, std::uint64_t size) {
    int error = 0;
    do {
        error = posix_fallocate(descriptor, 0, static_cast<off_t>(size));
    } while (error == EINTR);  // tmpfs gives up the whole allocation at a signal
    return error;
}

[[noreturn]] void fail_allocation(const std::string& where, std::uint64_t size, int error) {
    if (error != ENOSPC && error != EFBIG) fail("allocate " + std::to_string(size) + " bytes in " + where, error);
    struct statvfs status{};
    std::string free_bytes = "unknown";
    if (statvfs(where.c_str(), &status) == 0) free_bytes = std::to_string(status.f_bavail * status.f_frsize);
    throw base::Error(ErrorCode::no_space, "shared memory is full: " + std::to_string(size) + " bytes are needed in " +
                                               where + ", " + free_bytes +
                                               " are free; ask for a smaller capacity, remove unused buses, or "
                                               "enlarge it (mount -o remount,size=..., docker --shm-size)");
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
        fail("open " + path + (access == Access::read_write ? " for reading and writing" : " for reading"));
    }
    struct stat status{};
    if (fstat(descriptor.get(), &status) != 0) fail("inspect " + path);
    if (!S_ISREG(status.st_mode)) throw base::Error(ErrorCode::damaged, path + " is not a regular file");
    if (status.st_size == 0) {
        throw base::Error(ErrorCode::not_ready, path + " is empty: another process is making it, or died doing so");
    }
    return Segment(std::move(descriptor), static_cast<std::uint64_t>(status.st_size), access, path);
}

Segment Segment::make_unnamed(const std::string& directory, std::uint64_t size, mode_t mode,
                              std::optional<gid_t> group) {
    Descriptor descriptor(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (descriptor.get() < 0) fail("make a file in " + directory);
    if (group && fchown(descriptor.get(), static_cast<uid_t>(-1), *group) != 0) {
        fail("give a new file in " + directory + " to group " + std::to_string(*group) +
             ", of which you must be a member");
    }
    if (fchmod(descriptor.get(), mode) != 0) fail("set the mode of a new file in " + directory);  // whatever the umask
    if (const int error = allocate(descriptor.get(), size); error != 0) fail_allocation(directory, size, error);
    return Segment(std::move(descriptor), size, Access::read_write, "a new file in " + directory);
}

bool Segment::link(const std::string& path) const {
    const std::string self = "/proc/self/fd/" + std::to_string(descriptor_.get());
    if (linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno == EEXIST) return false;
    fail("make " + path);
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
