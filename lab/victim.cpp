#include "victim.hpp"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "markers.hpp"

namespace lab {

namespace {

constexpr std::size_t debug_register = offsetof(user, u_debugreg);
constexpr long enable_first = 1;  // in register 7: the first address, when it is executed

void trace(__ptrace_request request, pid_t thread, std::uint64_t address = 0, std::uint64_t data = 0) {
    if (ptrace(request, thread, reinterpret_cast<void*>(address), reinterpret_cast<void*>(data)) == 0) return;
    throw VictimFailed("ptrace: " + std::string(std::strerror(errno)));
}

[[noreturn]] void be_a_victim(const Operation& operation, const ring::Options& options) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(errno);
    raise(SIGSTOP);
    operation.perform(options);
    _exit(0);
}

bool is_trap(int status) { return WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP; }
bool has_ended(int status) { return WIFEXITED(status) || WIFSIGNALED(status); }

std::string describe(int status) {
    if (WIFEXITED(status)) return "it exited";
    if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status)) + " killed it";
    return "signal " + std::to_string(WSTOPSIG(status)) + " came";
}

bool is_event(int status, int event) { return is_trap(status) && status >> 16 == event; }

}  // namespace

Victim::Victim(const Operation& operation, const ring::Options& options) : operation_(operation) {
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) be_a_victim(operation, options);
    setpgid(pid_, pid_);  // whoever is first: its threads are waited for as a group
    const Stop stop = wait(pid_);
    if (has_ended(stop.status)) throw NotPermitted("ptrace is not permitted here");
    const bool is_keeper = operation.thread == SteppedThread::keeper;
    trace(PTRACE_SETOPTIONS, pid_, 0, PTRACE_O_EXITKILL | (is_keeper ? PTRACE_O_TRACECLONE : 0));
    resume(pid_);
    const auto begin = reinterpret_cast<std::uint64_t>(&kill_sweep_begin) + 1;  // behind the trap
    while (true) {
        const auto [thread, status] = wait(is_keeper ? -pid_ : pid_);
        if (thread == pid_ && is_event(status, PTRACE_EVENT_CLONE)) resume(pid_);
        else if (thread == pid_ && is_trap(status) && address_of(pid_) == begin) break;
        else if (thread == pid_) throw VictimFailed("the victim did not come to its operation: " + describe(status));
        else keeper_ = thread, resume(thread);
    }
    if (is_keeper && keeper_ != 0) stop_keeper();
    if (is_keeper) resume(pid_);
    if (is_keeper && keeper_ == 0) wait_for_keeper();
}

Victim::~Victim() {
    kill(pid_, SIGKILL);
    int status = 0;
    pid_t gone = 0;
    do {
        gone = waitpid(-pid_, &status, __WALL);
    } while (gone > 0 || errno == EINTR);
}

Victim::Stop Victim::wait(pid_t which) const {
    Stop stop;
    do {
        stop.thread = waitpid(which, &stop.status, __WALL);
    } while (stop.thread < 0 && errno == EINTR);
    if (stop.thread < 0) throw VictimFailed("the victim is gone");
    return stop;
}

std::optional<Victim::Stop> Victim::wait_a_moment() const {
    constexpr int looks = 100;
    for (int i = 0; i < looks; ++i) {
        Stop stop;
        stop.thread = waitpid(-pid_, &stop.status, __WALL | WNOHANG);
        if (stop.thread > 0) return stop;
        usleep(20);
    }
    return std::nullopt;
}

void Victim::resume(pid_t thread) const { trace(PTRACE_CONT, thread); }

std::uint64_t Victim::address_of(pid_t thread) const {
    user_regs_struct registers{};
    trace(PTRACE_GETREGS, thread, 0, reinterpret_cast<std::uint64_t>(&registers));
    return registers.rip;
}

std::uint64_t Victim::address() const { return address_of(keeper_ != 0 ? keeper_ : pid_); }

// ---- the main thread --------------------------------------------------------------------------------------

bool Victim::step_main() {
    set_breakpoint(std::nullopt);
    trace(PTRACE_SINGLESTEP, pid_);
    const int status = wait(pid_).status;
    if (!is_trap(status)) throw VictimFailed("the victim was not stopped by a step: " + describe(status));
    return address_of(pid_) != reinterpret_cast<std::uint64_t>(&kill_sweep_end);
}

// A debug register belongs to one thread: the keeper runs through it.
void Victim::set_breakpoint(std::optional<std::uint64_t> address) {
    if (address) trace(PTRACE_POKEUSER, pid_, debug_register, *address);
    if (address.has_value() == has_breakpoint_) return;
    has_breakpoint_ = address.has_value();
    trace(PTRACE_POKEUSER, pid_, debug_register + 7 * sizeof(long), address ? enable_first : 0);
}

bool Victim::run_to(std::uint64_t address) {
    set_breakpoint(address);
    resume(pid_);
    const int status = wait(pid_).status;
    return is_trap(status) && address_of(pid_) == address;
}

std::size_t Victim::go_along(const Trace& trace, std::span<const std::size_t> stops) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < stops.size(); ++i) {
        const std::size_t next = stops[i];
        const bool is_step = next == at + 1;
        const bool is_same = trace.address(at) == trace.address(next);  // a breakpoint here would not let it go
        if ((is_same || is_step) && !step_main()) return is_step && next + 1 == trace.size() ? i + 1 : i;
        if (!is_step && !run_to(trace.address(next))) return i;
        at = next;
    }
    return stops.size();
}

bool Victim::step_on(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (!step()) return false;
    }
    return true;
}

// ---- the keeper -------------------------------------------------------------------------------------------

// It sleeps in a system call: a signal, which is not delivered, stops it there.
void Victim::stop_keeper() {
    syscall(SYS_tgkill, pid_, keeper_, SIGSTOP);
    int status = 0;
    do {
        status = wait(keeper_).status;
        if (is_trap(status)) resume(keeper_);
    } while (is_trap(status));
}

// The main thread runs until it makes one.
void Victim::wait_for_keeper() {
    while (keeper_ == 0) {
        const auto [thread, status] = wait(-pid_);
        if (thread == pid_) handle_main(status);
        else keeper_ = thread;
        if (is_at_end_) throw std::runtime_error("the operation has no keeper");
    }
}

void Victim::handle_main(int status) {
    const auto end = reinterpret_cast<std::uint64_t>(&kill_sweep_end) + 1;
    if (is_event(status, PTRACE_EVENT_CLONE)) resume(pid_);
    else if (is_trap(status) && address_of(pid_) == end) is_at_end_ = true;
    else throw VictimFailed("the victim did not come to its end: " + describe(status));
}

bool Victim::step_keeper() {
    trace(PTRACE_SINGLESTEP, keeper_);
    while (true) {
        const auto stop = is_at_end_ ? wait_a_moment() : wait(-pid_);
        if (!stop) return false;
        if (stop->thread == pid_) handle_main(stop->status);
        else return !has_ended(stop->status);
    }
}

}  // namespace lab
