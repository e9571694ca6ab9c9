// A file in shared memory and its mapping.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace toroni::os {

enum class Access { read_only, read_write };

// A descriptor that closes itself.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int value) noexcept : value_(value) {}
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Descriptor();
    [[nodiscard]] int get() const noexcept { return value_; }

private:
    int value_ = -1;
};

class Segment {
public:
    // Opens and maps an existing file. Nothing if there is none. The mapping is as long as the file was.
    static std::optional<Segment> open(const std::string& path, Access access);

    // Makes a file of `size` zero bytes that has no name yet, with every page allocated: a full file system
    // is an error here and not a SIGBUS later.
    static Segment make_unnamed(const std::string& directory, std::uint64_t size, mode_t mode,
                                std::optional<gid_t> group);

    Segment(Segment&& other) noexcept
        : descriptor_(std::move(other.descriptor_)),
          device_(other.device_),
          inode_(other.inode_),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Segment& operator=(Segment&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        std::swap(device_, other.device_);
        std::swap(inode_, other.inode_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Segment();

    // Gives an unnamed file its name, complete or not at all. False if the name is taken.
    [[nodiscard]] bool link(const std::string& path) const;

    // Whether `path` leads to this very file now. Needs no descriptor.
    [[nodiscard]] bool is_at(const std::string& path) const;

    // Takes the file's advisory lock if nobody holds it; it ends with the descriptor or the process.
    [[nodiscard]] bool try_flock() const;
    void unlock_flock() const;

    // Allocates the pages of a sparse file that somebody else made.
    void allocate_pages(const std::string& path) const;

    // Ends the use of the descriptor; the mapping stays.
    void close_descriptor() { descriptor_ = Descriptor{}; }

    // Maps the pages now rather than one page fault at a time.
    void prefault(Access access) const noexcept;

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
    Segment(Descriptor descriptor, std::uint64_t size, Access access, const std::string& what);

    Descriptor descriptor_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
};

}  // namespace toroni::os
