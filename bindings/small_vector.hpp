// A vector that holds its first elements in itself: a short one allocates nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

namespace toroni::bindings {

template <class T, std::size_t at_hand>
class SmallVector {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    SmallVector() = default;
    ~SmallVector() {
        if (!is_small()) std::free(begin_);
    }
    SmallVector(const SmallVector&) = delete;
    SmallVector& operator=(const SmallVector&) = delete;

    void push_back(const T& element) {
        if (end_ == limit_) [[unlikely]]
            grow(2 * capacity());
        *end_++ = element;
    }
    void reserve(std::size_t size) {
        if (size > capacity()) grow(size);
    }

    [[nodiscard]] T* begin() noexcept { return begin_; }
    [[nodiscard]] T* end() noexcept { return end_; }
    [[nodiscard]] const T* data() const noexcept { return begin_; }
    [[nodiscard]] const T* begin() const noexcept { return begin_; }
    [[nodiscard]] const T* end() const noexcept { return end_; }
    [[nodiscard]] T& back() noexcept { return end_[-1]; }

private:
    [[nodiscard]] bool is_small() const noexcept { return begin_ == reinterpret_cast<const T*>(own_); }
    [[nodiscard]] std::size_t capacity() const noexcept { return static_cast<std::size_t>(limit_ - begin_); }

    [[gnu::noinline]] void grow(std::size_t capacity) {
        const auto size = static_cast<std::size_t>(end_ - begin_);
        void* block = std::realloc(is_small() ? nullptr : begin_, capacity * sizeof(T));
        if (block == nullptr) throw std::bad_alloc();
        if (is_small()) std::memcpy(block, own_, size * sizeof(T));
        begin_ = static_cast<T*>(block);
        end_ = begin_ + size;
        limit_ = begin_ + capacity;
    }

    alignas(T) std::byte own_[at_hand * sizeof(T)];
    T* begin_ = reinterpret_cast<T*>(own_);
    T* end_ = begin_;
    T* limit_ = begin_ + at_hand;
};

}  // namespace toroni::bindings
