#include "toroni/os/process.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <ctime>
#include <string>
#include <string_view>

#include "toroni/os/failure.hpp"
#include "toroni/os/segment.hpp"

namespace toroni::os {

namespace {

std::atomic<std::uint32_t> generation{0};

// Registered when the library is loaded, before anything can be inherited.
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });

// What is sought stands in the first kilobyte: a program's name has at most 64 bytes there, a number 20.
using Beginning = std::array<char, 1024>;

// The beginning of a file of /proc, which the kernel writes whole into one read; empty if it cannot be read. Not by
// a stream of C++, which costs twenty thousand instructions for one number.
std::string_view read_beginning(const std::string& path, Beginning& bytes) noexcept {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return {};
    ssize_t count = 0;
    do {
        count = read(file.get(), bytes.data(), bytes.size());
    } while (count < 0 && errno == EINTR);
    return {bytes.data(), count < 0 ? 0 : static_cast<std::size_t>(count)};
}

// The number behind any blanks; 0 if there is none.
template <class Number>
Number number_at(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    Number number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

}  // namespace

std::uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

std::uint64_t pid_namespace() {
    struct stat status{};
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::uint64_t process_start_time() {
    Beginning bytes;
    std::string_view rest = read_beginning("/proc/self/stat", bytes);
    // The program's name, in parentheses, may hold anything: count fields behind its end. The state is
    // field 3, the start time field 22 (proc(5)), each behind a blank.
    const auto name_end = rest.rfind(')');
    if (name_end == std::string_view::npos) return 0;
    rest.remove_prefix(name_end);
    for (int field = 3; field <= 22; ++field) {
        const auto blank = rest.find(' ');
        if (blank == std::string_view::npos) return 0;
        rest.remove_prefix(blank + 1);
    }
    return number_at<std::uint64_t>(rest);
}

pid_t process_of_thread(std::uint32_t thread_id) {
    Beginning bytes;
    const std::string_view status = read_beginning("/proc/" + std::to_string(thread_id) + "/status", bytes);
    constexpr std::string_view key = "\nTgid:";  // a name before it has its line ends escaped
    const auto at = status.find(key);
    return at == std::string_view::npos ? 0 : number_at<pid_t>(status.substr(at + key.size()));
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
