// A process that is stepped through an operation and killed. Its tracer, this process, has one thread and does the same
// before each fork, so that all victims of an operation execute the same instructions.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>

#include "operation.hpp"
#include "trace.hpp"

namespace lab {

struct NotPermitted : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// It fails by itself: an error of the operation, or a signal from elsewhere.
struct VictimFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Victim {
public:
    // Forks; it stands at the operation's first instruction. Throws NotPermitted where ptrace is.
    Victim(const Operation& operation, const ring::Options& options);
    // Kills it, and returns when the kernel has done with it all that a death entails.
    ~Victim();
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;

    // One instruction of the main thread, or of the keeper while the main thread runs freely. False at the end.
    [[nodiscard]] bool step() { return operation_.thread == SteppedThread::main ? step_main() : step_keeper(); }
    // The next execution of that address by the main thread. False if it came to the end instead.
    [[nodiscard]] bool run_to(std::uint64_t address);
    // Along stops of its trace, the last of which is meant. Returns how many it came to: time and other threads may
    // lead it another way, then it stands at the end.
    [[nodiscard]] std::size_t go_along(const Trace& trace, std::span<const std::size_t> stops);
    // So many steps. False if it came to the end.
    [[nodiscard]] bool step_on(std::size_t count);
    // Of the next instruction of the thread that is stepped.
    [[nodiscard]] std::uint64_t address() const;

private:
    struct Stop {
        pid_t thread = 0;
        int status = 0;
    };
    [[nodiscard]] bool step_main();
    [[nodiscard]] bool step_keeper();
    void wait_for_keeper();
    void stop_keeper();
    [[nodiscard]] Stop wait(pid_t which) const;
    // Whether nothing comes any more: the keeper sleeps, the main thread is done.
    [[nodiscard]] std::optional<Stop> wait_a_moment() const;
    void handle_main(int status);
    void resume(pid_t thread) const;
    void set_breakpoint(std::optional<std::uint64_t> address);
    [[nodiscard]] std::uint64_t address_of(pid_t thread) const;

    const Operation& operation_;
    pid_t pid_ = 0;
    pid_t keeper_ = 0;
    bool has_breakpoint_ = false;
    bool is_at_end_ = false;
};

}  // namespace lab
