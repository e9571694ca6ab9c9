// Another process, in which the survivors live: one that hangs or crashes is noticed, reported and replaced.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>

#include "operation.hpp"
#include "toroni/os/segment.hpp"

namespace lab {

struct Report {
    bool is_right = false;
    std::uint64_t messages = 0;  // of the victim, that are there
    std::uint64_t microseconds = 0;
    std::array<char, 400> what{};  // was wrong
};

class SurvivorsProcess {
public:
    // A survivor that needs longer hangs: all that they do takes a millisecond, on a very busy machine a second.
    static constexpr int patience_ms = 10'000;

    explicit SurvivorsProcess(const ring::Options& options) : options_(options) { start(); }
    ~SurvivorsProcess() { end(); }
    SurvivorsProcess(const SurvivorsProcess&) = delete;
    SurvivorsProcess& operator=(const SurvivorsProcess&) = delete;

    // Before the victim comes, and when it is dead.
    [[nodiscard]] Report prepare(std::size_t operation) { return ask({Request::Kind::prepare, operation}); }
    [[nodiscard]] Report examine() { return ask({Request::Kind::examine, 0}); }

private:
    struct Request {
        enum class Kind { prepare, examine } kind;
        std::size_t operation;
    };
    void start();
    void end();
    [[noreturn]] void serve(int socket) const;
    [[nodiscard]] Report ask(const Request& request);

    const ring::Options& options_;
    pid_t pid_ = 0;
    os::Descriptor socket_;
};

}  // namespace lab
