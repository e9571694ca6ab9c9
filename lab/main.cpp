// Kills a process at each instruction of each operation, or at a sample of them, and has the survivors look.
//
//   kill_sweep [--sample KILLS] [--seed NUMBER] [--operation NAME [--instruction NUMBER]] [--list]
//
// Exits with 1 if anything was wrong, with 3 where ptrace is not permitted.
#include <sched.h>
#include <stdlib.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "scene.hpp"
#include "sweep.hpp"
#include "victim.hpp"

namespace lab {

namespace {

struct Arguments {
    Sample sample{};
    std::string operation{};  // whose name begins so
};

Arguments parse(int count, char** values) {
    Arguments arguments;
    for (int i = 1; i < count; ++i) {
        const std::string option = values[i];
        if (i + 1 == count) throw Wrong(option + " needs a value, or is unknown");
        const std::string value = values[++i];
        if (option == "--sample") arguments.sample.kills = std::stoul(value);
        else if (option == "--seed") arguments.sample.seed = std::stoull(value);
        else if (option == "--instruction") arguments.sample.instruction = std::stoul(value);
        else if (option == "--operation") arguments.operation = value;
        else throw Wrong("unknown option " + option);
    }
    return arguments;
}

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        if (mkdtemp(path) == nullptr) throw Wrong("no directory can be made in /dev/shm");
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    char path[32] = "/dev/shm/toroni-kill-XXXXXX";
};

// Tracer and victim take turns: on one processor that costs half as much.
void stay_on_one_processor() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
}

// They are looked at between two kills.
void block_interruptions() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
}

int run(const Arguments& arguments) {
    block_interruptions();
    const TemporaryDirectory directory;
    const ring::Options options{
        .name = "bus", .capacity = capacity, .max_readers = max_readers, .directory = directory.path};
    SurvivorsProcess survivors(options);
    stay_on_one_processor();
    keep_heap_still();
    bool all_right = true;
    for (std::size_t i = 0; i < operations().size(); ++i) {
        if (!std::string(operations()[i].name).starts_with(arguments.operation)) continue;
        all_right = Sweep(i, options, survivors).run(arguments.sample) && all_right;
    }
    return all_right ? 0 : 1;
}

int list() {
    for (const auto& operation : operations()) std::puts(operation.name);
    return 0;
}

}  // namespace

}  // namespace lab

int main(int count, char** values) {
    try {
        if (count == 2 && std::string(values[1]) == "--list") return lab::list();
        return lab::run(lab::parse(count, values));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return dynamic_cast<const lab::NotPermitted*>(&error) != nullptr ? 3 : 2;
    }
}
