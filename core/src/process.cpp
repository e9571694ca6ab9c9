#include "toroni/os/process.hpp"

#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <atomic>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

#include "toroni/os/failure.hpp"

namespace toroni::os {

namespace {

std::atomic<std::uint32_t> generation{0};

// Registered when the library is loaded, before anything can be inherited.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

std::uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

std::uint64_t pid_namespace() {
    struct stat status{};
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::uint64_t process_start_time() {
    std::ifstream file("/proc/self/stat");
    std::string line;
    std::getline(file, line);
    // The program's name, in parentheses, may hold anything: count fields behind its end. The state is
    // field 3, the start time field 22 (proc(5)).
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(line.substr(name_end + 1));
    std::string skipped;
    for (int field = 3; field < 22; ++field) fields >> skipped;
    std::uint64_t ticks = 0;
    fields >> ticks;
    return ticks;
}

pid_t process_of_thread(std::uint32_t thread_id) {
    std::ifstream file("/proc/" + std::to_string(thread_id) + "/status");
    std::string key;
    while (file >> key) {
        if (key == "Tgid:") {
            pid_t pid = 0;
            file >> pid;
            return pid;
        }
    }
    return 0;
}

std::uint64_t random_id() {
    std::uint64_t id = 0;
    while (id == 0) {
        if (getrandom(&id, sizeof id, 0) != sizeof id && errno != EINTR) fail("get random bytes");
    }
    return id;
}

std::uint64_t realtime_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace toroni::os
