#include "toroni/os/failure.hpp"

#include <sys/resource.h>

#include <system_error>

namespace toroni::os {

namespace {

std::string file_limit() {
    rlimit limit{};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::to_string(limit.rlim_cur) : "a limited number of";
}

}  // namespace

std::string advice(int error) {
    switch (error) {
        case EMFILE:
            return "; this process may have " + file_limit() +
                   " descriptors open and has: close some, or raise the limit (ulimit -n)";
        case ENFILE:
            return "; all processes together have as many files open as the system allows: end some, or raise it "
                   "(sysctl fs.file-max)";
        case ENOMEM:
            return "; ask for a smaller capacity, or raise what limits the memory of this process (ulimit -v, its "
                   "container's memory, sysctl vm.max_map_count)";
        case EAGAIN: return "; where a process locks its memory (mlockall), raise that limit (ulimit -l)";
        case EROFS: return "; mount it writable (mount -o remount,rw)";
        default: return "";
    }
}

void fail(const std::string& what, int error, const std::string& to_do) {
    const bool denied = error == EACCES || error == EPERM || error == EROFS;
    throw base::Error(denied ? base::ErrorCode::permission_denied : base::ErrorCode::system,
                      "cannot " + what + ": " + std::generic_category().message(error) + to_do, error);
}

void fail(const std::string& what, int error) { fail(what, error, advice(error)); }

}  // namespace toroni::os
