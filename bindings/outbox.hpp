// The messages that one call writes.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory_resource>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "topic_name.hpp"
#include "toroni/ring/batch.hpp"
#include "toroni/topic/message.hpp"

namespace toroni::bindings {

// Keeps the last large block that a batch needed for the next batch of the same thread: the first touch of fresh pages
// costs more than the writing of their messages.
class SpareBlock : public std::pmr::memory_resource {
public:
    static SpareBlock& of_this_thread() {
        static thread_local SpareBlock block;
        return block;
    }
    ~SpareBlock() override {  // a thread may post even after that
        spare_size_ = 0;
        std::free(std::exchange(spare_, nullptr));
    }
    SpareBlock(const SpareBlock&) = delete;
    SpareBlock& operator=(const SpareBlock&) = delete;

private:
    static constexpr std::size_t most = 1u << 20;

    SpareBlock() = default;
    void* do_allocate(std::size_t size, std::size_t) override {
        if (size <= spare_size_) {
            spare_size_ = 0;
            return std::exchange(spare_, nullptr);
        }
        void* block = std::malloc(size);
        if (block == nullptr) throw std::bad_alloc();
        return block;
    }
    void do_deallocate(void* block, std::size_t size, std::size_t) override {
        if (size > most || size <= spare_size_) return std::free(block);
        std::free(std::exchange(spare_, block));
        spare_size_ = size;
    }
    [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

    void* spare_ = nullptr;
    std::size_t spare_size_ = 0;
};

// Their buffers stay as they are until it ends. A small call allocates nothing, a large one as
// little as it can.
class Outbox {
public:
    Outbox() = default;
    ~Outbox() {
        for (Py_buffer& view : views_) PyBuffer_Release(&view);
        for (PyObject* object : kept_) Py_DECREF(object);
    }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    void reserve(std::size_t parts) {
        parts_.reserve(parts);
        kept_.reserve(parts);
    }

    // As many parts as an iterable of messages says that it has, which may be anything.
    void reserve_for(nb::handle iterable, std::size_t parts_a_message) {
        const Py_ssize_t expected = PyObject_LengthHint(iterable.ptr(), 0);
        if (expected < 0) throw nb::python_error();
        const auto messages = std::min(static_cast<std::size_t>(expected), std::size_t{1} << 20);
        parts_.reserve(messages * parts_a_message);
        kept_.reserve(messages);
    }

    // Begins a message with a topic, a str.
    void add_topic(topic::Generation generation, bool descendants, nb::handle name) {
        if (name.ptr() != last_topic_ || generation != last_generation_ || descendants != last_descendants_) {
            const TopicName topic(name);
            const std::size_t size = topic::header_size(topic.text());
            auto* header = static_cast<std::byte*>(memory_.allocate(size, 1));
            topic::encode_header(header, generation, descendants, topic.text());
            keep(name);  // its address says which one it was
            last_topic_ = name.ptr();
            last_generation_ = generation;
            last_descendants_ = descendants;
            last_header_ = {header, size};
        }
        add(last_header_);
    }

    // Adds a buffer to the message that end_message() ends.
    void add_part(nb::handle object) {
        if (PyBytes_CheckExact(object.ptr())) {  // which never change
            keep(object);
            add({PyBytes_AS_STRING(object.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(object.ptr()))});
            return;
        }
        Py_buffer view;
        if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
        views_.push_back(view);
        add({view.buf, static_cast<std::size_t>(view.len)});
    }

    void end_message(std::uint64_t longest) {
        if (length_ == 0) raise("InvalidArgument", "a raw message has at least 1 byte");
        if (length_ > longest) {
            raise("MessageTooLarge", "a message of " + std::to_string(length_) +
                                         " bytes does not fit this ring, whose "
                                         "largest is " +
                                         std::to_string(longest) + "; make it with a larger capacity");
        }
        total_ += std::exchange(length_, 0);
        const bool all_have_one_part = ends_.empty() && parts_.size() == count_ + 1;
        for (std::size_t i = ends_.size(); !all_have_one_part && i < count_; ++i) ends_.push_back(i + 1);
        if (!all_have_one_part) ends_.push_back(parts_.size());
        ++count_;
    }

    [[nodiscard]] std::uint64_t total() const { return total_; }

    // Valid as long as nothing is added.
    [[nodiscard]] ring::Batch batch() const { return ends_.empty() ? ring::Batch(parts_) : ring::Batch(parts_, ends_); }

    // All parts behind each other.
    [[nodiscard]] nb::bytes joined() const {
        nb::bytes all = nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(total_)));
        if (!all.is_valid()) throw nb::python_error();
        char* to = PyBytes_AS_STRING(all.ptr());
        for (const ring::Part& part : parts_) {
            if (part.size != 0) std::memcpy(to, part.data, part.size);
            to += part.size;
        }
        return all;
    }

private:
    void add(const ring::Part& part) {
        parts_.push_back(part);
        length_ += part.size;
    }
    void keep(nb::handle object) {
        kept_.push_back(object.ptr());
        Py_INCREF(object.ptr());
    }

    static constexpr std::size_t at_hand = 512;
    alignas(std::max_align_t) std::byte first_memory_[at_hand];
    std::pmr::monotonic_buffer_resource memory_{first_memory_, at_hand, &SpareBlock::of_this_thread()};
    std::pmr::vector<ring::Part> parts_{&memory_};
    std::pmr::vector<std::size_t> ends_{&memory_};
    std::pmr::vector<PyObject*> kept_{&memory_};
    std::pmr::vector<Py_buffer> views_{&memory_};
    PyObject* last_topic_ = nullptr;
    topic::Generation last_generation_ = 0;
    bool last_descendants_ = false;
    ring::Part last_header_{};
    std::size_t count_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t total_ = 0;
};

}  // namespace toroni::bindings
