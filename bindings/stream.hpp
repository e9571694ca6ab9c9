// toroni._core.Stream: one process's access to a raw stream.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>

#include "arguments.hpp"
#include "gil.hpp"
#include "toroni/ring/memory.hpp"
#include "toroni/ring/writer.hpp"

namespace toroni::bindings {

// Kept alive by every call that is under way, so that close() in another thread unmaps nothing under it.
struct Session {
    explicit Session(std::shared_ptr<ring::Memory> opened) : memory(std::move(opened)), writer(memory) {}
    std::shared_ptr<ring::Memory> memory;
    ring::Writer writer;
};

class Stream {
public:
    Stream(const ring::Options& options, nb::handle backpressure)
        : name_(options.name), default_policy_(to_policy(backpressure)), session_(open(options)) {}

    void close() { session_.reset(); }
    [[nodiscard]] bool is_closed() const { return session_ == nullptr; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::shared_ptr<Session> session() const;  // raises Closed

    nb::object write(nb::args buffers, nb::handle backpressure);
    std::size_t write_many(nb::iterable messages, nb::handle backpressure);

private:
    static std::shared_ptr<Session> open(const ring::Options& options) {
        const ReleasedGil released;  // a large ring takes a while to allocate and map
        return std::make_shared<Session>(ring::Memory::open(options));
    }
    [[nodiscard]] std::shared_ptr<Session> writing_session() const;
    [[nodiscard]] Policy policy(nb::handle backpressure) const {
        return backpressure.is_none() ? default_policy_ : to_policy(backpressure);
    }
    blocking::WriteResult write_all(Session& session, const Messages& messages, const Policy& policy);

    std::string name_;
    Policy default_policy_;
    std::shared_ptr<Session> session_;
};

void bind_stream(nb::module_& module);

}  // namespace toroni::bindings
