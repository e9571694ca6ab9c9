// A bus in a directory of its own, removed at the end.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "toroni/ring/memory.hpp"

class TemporaryBus {
public:
    TemporaryBus(std::uint64_t capacity = 4096, std::uint32_t max_readers = 8) {
        char pattern[] = "/dev/shm/toroni-test-XXXXXX";
        options.directory = mkdtemp(pattern);
        options.name = "bus";
        options.capacity = capacity;
        options.max_readers = max_readers;
    }
    ~TemporaryBus() { std::filesystem::remove_all(options.directory); }

    std::shared_ptr<toroni::ring::Memory> open() const { return toroni::ring::Memory::open(options); }
    [[nodiscard]] std::string path(const std::string& suffix) const {
        return options.directory + "/toroni-bus-" + suffix;
    }
    // Removes our extension block, as if a C++ or Java process had made the segment.
    void make_foreign(const std::string& suffix, std::uint64_t base_size) const {
        std::filesystem::resize_file(path(suffix), base_size);
    }

    toroni::ring::Options options;
};
