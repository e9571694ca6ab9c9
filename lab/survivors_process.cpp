#include "survivors_process.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "scene.hpp"
#include "survivors.hpp"

namespace lab {

namespace {

void say(Report& report, const char* what) {
    report.is_right = false;
    std::strncpy(report.what.data(), what, report.what.size() - 1);
}

}  // namespace

void SurvivorsProcess::start() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) throw Wrong("no socket for the survivors");
    pid_ = fork();
    if (pid_ == 0) {
        ::close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(ends[1]);
    }
    ::close(ends[1]);
    socket_ = os::Descriptor(ends[0]);
}

void SurvivorsProcess::end() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
        std::filesystem::remove(entry.path());
    }
}

void SurvivorsProcess::serve(int socket) const {
    std::optional<Scene> scene;
    Request request{};
    while (recv(socket, &request, sizeof request, 0) == sizeof request) {
        Report report{.is_right = true};
        const auto began = std::chrono::steady_clock::now();
        try {
            if (request.kind == Request::Kind::prepare) {
                scene.reset();
                scene.emplace(operations()[request.operation], options_);
            } else {
                report.messages = lab::examine(scene.value());  // none: whoever prepared it crashed
            }
        } catch (const std::exception& error) {
            say(report, error.what());
        }
        const auto took = std::chrono::steady_clock::now() - began;
        const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
        report.microseconds = static_cast<std::uint64_t>(microseconds);
        send(socket, &report, sizeof report, MSG_NOSIGNAL);
    }
    _exit(0);
}

Report SurvivorsProcess::ask(const Request& request) {
    Report report;
    send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL);
    pollfd answer{.fd = socket_.get(), .events = POLLIN};
    if (poll(&answer, 1, patience_ms) <= 0) say(report, "the survivors hang");
    else if (recv(socket_.get(), &report, sizeof report, 0) == sizeof report) return report;
    else say(report, "the survivors crash");
    end();
    start();
    return report;
}

}  // namespace lab
