// What /proc says of processes, and what an errno becomes.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "check.hpp"
#include "toroni/base/error.hpp"
#include "toroni/os/failure.hpp"
#include "toroni/os/process.hpp"

using namespace toroni;

namespace {

// Field 22 of a process whose name is a plain word.
std::uint64_t plain_start_time() {
    std::ifstream file("/proc/self/stat");
    const std::vector<std::string> fields{std::istream_iterator<std::string>(file), {}};
    return std::stoull(fields[21]);
}

std::string message_of(int error) {
    try {
        os::fail("do it", error);
    } catch (const base::Error& thrown) {
        CHECK_EQUAL(thrown.number(), error);
        return thrown.what();
    }
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST(the_start_of_a_process_whatever_it_is_called) {
    const std::uint64_t expected = plain_start_time();
    CHECK(expected != 0);
    for (const char* name : {"plain", ") R 1 2 (", "a b c d e f", "(((", ")\n)\nx", ""}) {
        CHECK_EQUAL(prctl(PR_SET_NAME, name), 0);
        CHECK_EQUAL(os::process_start_time(), expected);
    }
}

TEST(the_process_of_a_thread_whatever_it_is_called) {
    std::thread([] {
        for (const char* name : {"plain", "x\nTgid:\t1", "Tgid: 1", ""}) {
            CHECK_EQUAL(prctl(PR_SET_NAME, name), 0);
            CHECK_EQUAL(os::process_of_thread(static_cast<std::uint32_t>(syscall(SYS_gettid))), getpid());
        }
    }).join();
    CHECK_EQUAL(os::process_of_thread(1), 1);
    CHECK_EQUAL(os::process_of_thread(0x3fffffff), 0);
}

TEST(errors_say_what_to_do) {
    CHECK(contains(message_of(EMFILE), "cannot do it: Too many open files; this process may have "));
    CHECK(contains(message_of(EMFILE), "(ulimit -n)"));
    CHECK(contains(message_of(ENFILE), "(sysctl fs.file-max)"));
    CHECK(contains(message_of(ENOMEM), "ask for a smaller capacity"));
    CHECK(contains(message_of(EROFS), "(mount -o remount,rw)"));
    CHECK(contains(message_of(EAGAIN), "(ulimit -l)"));
    CHECK_THROWS(os::fail("do it", EROFS), base::ErrorCode::permission_denied);
    CHECK_THROWS(os::fail("do it", EPERM), base::ErrorCode::permission_denied);
    CHECK_THROWS(os::fail("do it", EMFILE), base::ErrorCode::system);
    CHECK(message_of(EIO) == "cannot do it: Input/output error");
}
