// What a process knows of itself and of others.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace toroni::os {

// 0 in the first process, raised in each forked child: what carries an older number was inherited.
[[nodiscard]] std::uint32_t fork_generation() noexcept;

// Inode of this process's PID namespace; 0 if it cannot be read.
[[nodiscard]] std::uint64_t pid_namespace();

// Start of this process, in clock ticks since boot: with the pid it names a process for ever.
[[nodiscard]] std::uint64_t process_start_time();

// The process that a thread belongs to; 0 if there is no such thread.
[[nodiscard]] pid_t process_of_thread(std::uint32_t thread_id);

// Random, never 0.
[[nodiscard]] std::uint64_t random_id();

[[nodiscard]] std::uint64_t realtime_ns();

}  // namespace toroni::os
