// The messages that one call writes.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "small_vector.hpp"
#include "topic_cache.hpp"
#include "topic_name.hpp"
#include "toroni/ring/batch.hpp"
#include "toroni/ring/frame.hpp"
#include "toroni/topic/message.hpp"

namespace toroni::bindings {

// Their buffers stay as they are until it ends. A small call allocates nothing, a large one as little as it can.
// Whatever is added must be kept alive: by the caller, whose arguments they are, or by keep().
class Outbox {
public:
    // Of bodies of at most `longest` bytes; those with topics are of this generation.
    explicit Outbox(std::uint64_t longest, topic::Generation generation = 0, bool descendants = false,
                    TopicCache* topics = nullptr)
        : longest_(longest), generation_(generation), descendants_(descendants), topics_(topics) {}
    ~Outbox() {
        for (Py_buffer& view : views_) PyBuffer_Release(&view);
        for (PyObject* object : kept_) Py_DECREF(object);
    }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // As many messages as an iterable of them says that it has, which may be anything.
    void reserve_for(nb::handle iterable, std::size_t parts_a_message) {
        const Py_ssize_t expected = PyObject_LengthHint(iterable.ptr(), 0);
        if (expected < 0) throw nb::python_error();
        const auto messages = std::min(static_cast<std::size_t>(expected), std::size_t{1} << 20);
        parts_.reserve(messages * parts_a_message);
        kept_.reserve(messages);
    }

    void keep(nb::handle object) { kept_.push_back(object.inc_ref().ptr()); }

    // Begins a message with a topic, a str.
    void add_topic(nb::handle name) {
        if (name.ptr() != topic_) encode(name);
        parts_.push_back({header_, header_size_, false});
        length_ = header_size_;
    }

    // Adds a buffer to the message that end_message() ends.
    void add_part(nb::handle object) {
        if (PyBytes_CheckExact(object.ptr())) {  // which never change
            add(PyBytes_AS_STRING(object.ptr()), static_cast<std::size_t>(PyBytes_GET_SIZE(object.ptr())));
        } else {
            add_view(object);
        }
    }

    // The body of a message with a topic.
    void add_encoded(nb::handle bytes) {
        add_part(bytes);
        ring::Part& whole = parts_.back();
        if (whole.size < ring::least_aligned) return;
        // Its payload is what is to be aligned.
        const auto* text = static_cast<const char*>(whole.data);
        const std::size_t topic_size =
            strnlen(text + base::topic_name_offset, whole.size - base::topic_name_offset - 1);
        const auto header_size = static_cast<std::uint32_t>(base::topic_name_offset + topic_size + 1);
        const ring::Part payload{text + header_size, whole.size - header_size, false};
        whole.size = header_size;
        parts_.push_back(payload);
    }

    void end_message() {
        if (length_ == 0 || length_ > longest_) refuse();
        total_ += std::exchange(length_, 0);
        parts_.back().ends_message = true;
        ++count_;
    }

    // Valid as long as nothing is added.
    [[nodiscard]] ring::Batch batch() const { return {parts_.data(), count_, total_, largest_part_}; }

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
    // What is too long for the type is too long for every ring, which end_message() tells.
    void add(const void* data, std::size_t size) {
        constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
        const auto size32 = static_cast<std::uint32_t>(std::min(size, most));
        parts_.push_back({data, size32, false});
        largest_part_ = std::max(largest_part_, size32);
        length_ += size;
    }
    // What is done seldom stays out of the way of the rest.
    [[gnu::noinline]] void add_view(nb::handle object) {
        Py_buffer view;
        if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw nb::python_error();
        views_.push_back(view);
        add(view.buf, static_cast<std::size_t>(view.len));
    }
    [[noreturn, gnu::noinline]] void refuse() const {
        if (length_ == 0) raise("InvalidArgument", "a raw message has at least 1 byte");
        raise("MessageTooLarge", "a message of " + std::to_string(length_) +
                                     " bytes does not fit this ring, whose largest is " + std::to_string(longest_) +
                                     "; make it with a larger capacity");
    }
    [[gnu::noinline]] void encode(nb::handle name) {
        std::byte* to = header_ == nullptr ? first_header_ : room_for_header(TopicCache::longest);
        std::size_t size = topics_ == nullptr ? 0 : topics_->copy(name, generation_, descendants_, to);
        if (size == 0) {
            const TopicName topic(name);
            size = topic::header_size(topic.text());
            if (size > TopicCache::longest) to = room_for_header(size);
            topic::encode_header(to, generation_, descendants_, topic.text());
            if (topics_ != nullptr) topics_->remember(name, to, size);
        }
        if (to != first_header_) next_header_ = to + size;
        topic_ = name.ptr();  // which is kept: its address says which one it was
        header_ = to;
        header_size_ = static_cast<std::uint32_t>(size);
    }

    std::byte* room_for_header(std::size_t size) {
        if (static_cast<std::size_t>(headers_end_ - next_header_) < size) {
            const std::size_t block = std::max(std::size_t{4096} << std::min<std::size_t>(headers_.size(), 4), size);
            headers_.push_back(std::make_unique<std::byte[]>(block));
            next_header_ = headers_.back().get();
            headers_end_ = next_header_ + block;
        }
        return next_header_;
    }

    std::uint64_t longest_;
    topic::Generation generation_;
    bool descendants_;
    TopicCache* topics_;
    SmallVector<ring::Part, 8> parts_;
    SmallVector<PyObject*, 8> kept_;
    SmallVector<Py_buffer, 2> views_;
    std::byte first_header_[TopicCache::longest];
    std::vector<std::unique_ptr<std::byte[]>> headers_;  // blocks of further ones
    std::byte* next_header_ = nullptr;
    std::byte* headers_end_ = nullptr;
    PyObject* topic_ = nullptr;
    const std::byte* header_ = nullptr;  // of topic_
    std::uint32_t header_size_ = 0;
    std::size_t count_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t total_ = 0;
    std::uint32_t largest_part_ = 0;
};

}  // namespace toroni::bindings
