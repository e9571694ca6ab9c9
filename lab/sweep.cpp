#include "sweep.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <random>

#include "scene.hpp"
#include "symbol.hpp"
#include "victim.hpp"

namespace lab {

namespace {

// No name or error has characters that JSON would need quoted, but for these.
std::string as_json(std::string text) {
    std::replace(text.begin(), text.end(), '"', '\'');
    std::replace(text.begin(), text.end(), '\\', '/');
    std::replace_if(text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
    return '"' + text + '"';
}

// Whoever interrupts the sweep finds nothing left in /dev/shm: main() has blocked these signals.
void stop_if_asked() {
    sigset_t pending;
    sigpending(&pending);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        if (sigismember(&pending, signal) == 1) throw Wrong("interrupted");
    }
}

}  // namespace

bool Sweep::run(const Sample& sample) {
    try {
        record();
    } catch (const VictimFailed& error) {
        fail(0, 0, error.what());
        return false;
    }
    const auto kills = choose(sample);
    std::printf("{\"event\": \"begin\", \"operation\": \"%s\", \"kills\": %zu}\n", operation_.name, kills.size());
    began_ = printed_ = Clock::now();
    for (std::size_t done = 0; done < kills.size(); ++done) {
        print_progress(done);
        stop_if_asked();
        kill_at(kills[done]);
    }
    print_end(kills.size());
    return failures_ == 0;
}

void Sweep::print_progress(std::size_t done) {
    const auto now = Clock::now();
    if (now - printed_ < std::chrono::milliseconds(100)) return;
    printed_ = now;
    std::printf("{\"event\": \"progress\", \"done\": %zu}\n", done);
    std::fflush(stdout);
}

void Sweep::print_end(std::size_t kills) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    std::printf("{\"event\": \"end\", \"operation\": \"%s\", \"instructions\": %zu, \"stores\": %zu, \"kills\": %zu, ",
                operation_.name, trace_.size() - 1, stores_.size(), kills);
    std::printf("\"failures\": %zu, \"elsewhere\": %zu, \"seconds\": %.3f, \"slowest_ms\": %.3f}\n", failures_,
                elsewhere_, seconds, static_cast<double>(slowest_us_) / 1000);
    std::fflush(stdout);
}

void Sweep::record() {
    const Report prepared = survivors_.prepare(index_);
    if (!prepared.is_right) throw Wrong(std::string(operation_.name) + ": " + prepared.what.data());
    Roomy<std::uint64_t> addresses;
    shared_.emplace(options_);  // before the fork, and kept: this victim finds the same heap as all that follow
    Victim victim(operation_, options_);
    static_cast<void>(shared_->have_changed());  // what setting up changed
    addresses.push_back(victim.address());
    bool goes_on = true;
    while (goes_on) {
        goes_on = victim.step();
        if (!goes_on && operation_.thread == SteppedThread::keeper) break;
        if (shared_->have_changed()) stores_.push_back(addresses.size());
        addresses.push_back(victim.address());
    }
    trace_ = Trace(std::move(addresses));
}

// All, or a sample: half of it from the moments behind a store to shared memory, half from all.
Roomy<std::size_t> Sweep::choose(const Sample& sample) const {
    Roomy<std::size_t> all, chosen;
    all.resize(trace_.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    if (sample.instruction) chosen.push_back(std::min(*sample.instruction, all.back()));
    if (sample.instruction) return chosen;
    if (sample.kills == 0) return all;
    std::mt19937_64 random(sample.seed + index_);
    std::sample(stores_.begin(), stores_.end(), std::back_inserter(chosen), sample.kills / 2, random);
    std::sample(all.begin(), all.end(), std::back_inserter(chosen), sample.kills - chosen.size(), random);
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    return chosen;
}

// Along these stops, then by single steps; killed by the destructor.
Sweep::Killed Sweep::kill_behind(std::span<const std::size_t> stops, std::size_t steps) {
    Victim victim(operation_, options_);
    Killed killed{victim.go_along(trace_, stops)};
    if (killed.stops == stops.size() && victim.step_on(steps)) killed.address = victim.address();
    return killed;
}

// What a system call answers, or the time, may lead a victim past a stop: then another one is brought to the last stop
// that is sure, and stepped on.
std::optional<std::uint64_t> Sweep::kill_victim(std::size_t k) {
    if (operation_.thread == SteppedThread::keeper) return kill_behind({}, k).address;
    const auto way = trace_.way_to(k);
    const Killed killed = kill_behind(way, 0);
    if (killed.address) return killed.address;
    static_cast<void>(survivors_.prepare(index_));
    const std::size_t last = killed.stops == 0 ? 0 : way[killed.stops - 1];
    return kill_behind(way.first(killed.stops), k - last).address;
}

void Sweep::kill_at(std::size_t k) {
    Report report = survivors_.prepare(index_);
    std::optional<std::uint64_t> address;
    if (report.is_right) {
        try {
            address = kill_victim(k);
        } catch (const VictimFailed& error) {
            fail(k, trace_.address(k), error.what());
        }
        report = survivors_.examine();
        slowest_us_ = std::max(slowest_us_, report.microseconds);
    }
    const bool is_there = address == trace_.address(k);
    if (!is_there) ++elsewhere_;
    if (report.is_right && is_there && report.messages < messages_) {
        report = {.what = {"messages are gone that a kill before this instruction left"}};
    }
    if (report.is_right && is_there) messages_ = report.messages;
    if (!report.is_right) fail(k, address.value_or(trace_.address(k)), report.what.data());
}

void Sweep::fail(std::size_t k, std::uint64_t address, const char* what) {
    ++failures_;
    constexpr std::size_t most = 20;  // one fault shows at many instructions
    if (failures_ > most) return;
    std::printf("{\"event\": \"failure\", \"operation\": \"%s\", \"instruction\": %zu, \"where\": %s, \"what\": %s}\n",
                operation_.name, k, as_json(describe_instruction(address)).c_str(), as_json(what).c_str());
    std::fflush(stdout);
}

}  // namespace lab
