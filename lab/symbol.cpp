#include "symbol.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace lab {

namespace {

std::string hexadecimal(std::uint64_t number) {
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "0x%lx", number);
    return text.data();
}

// What addr2line of the binutils says, if it is there: "function at file:line".
std::string ask_addr2line(const std::string& program, std::uint64_t offset) {
    const std::string command = "addr2line -Cpfe '" + program + "' " + hexadecimal(offset) + " 2>/dev/null";
    FILE* output = popen(command.c_str(), "r");
    std::array<char, 400> line{};
    if (output == nullptr) return "";
    const bool is_there = std::fgets(line.data(), line.size(), output) != nullptr;
    pclose(output);
    std::string text = is_there ? line.data() : "";
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.starts_with("??") ? "" : text;
}

}  // namespace

std::string describe_instruction(std::uint64_t address) {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(address), &info) == 0) return hexadecimal(address);
    const std::uint64_t offset = address - reinterpret_cast<std::uint64_t>(info.dli_fbase);
    std::array<char, 4096> self{};
    const bool is_self = info.dli_sname == nullptr && readlink("/proc/self/exe", self.data(), self.size() - 1) > 0;
    std::string found = ask_addr2line(is_self ? self.data() : info.dli_fname, offset);
    if (!found.empty()) return found;
    if (info.dli_sname == nullptr) return std::string(info.dli_fname) + "+" + hexadecimal(offset);
    return std::string(info.dli_sname) + "+" + hexadecimal(address - reinterpret_cast<std::uint64_t>(info.dli_saddr)) +
           " in " + info.dli_fname;
}

}  // namespace lab
