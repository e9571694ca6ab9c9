// Watches the bytes of a bus that exists, to find the instructions that change them. Between two of those, one kill is
// as another for who survives (but for the lists of locks, which the kernel reads in the victim's own memory): so a
// sample has more of the moments behind them than of all others.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "operation.hpp"
#include "toroni/os/segment.hpp"

namespace lab {

class SharedBytes {
public:
    explicit SharedBytes(const ring::Options& options) {
        for (const char* suffix : {"-rb", "-ri"}) {
            auto file = os::Segment::open(path_of(options, suffix), os::Access::read_only);
            if (!file) continue;
            copies_.emplace_back(file->data(), file->data() + file->size());
            files_.push_back(std::move(*file));
        }
    }

    // Since the last call.
    [[nodiscard]] bool have_changed() {
        bool changed = false;
        for (std::size_t i = 0; i < files_.size(); ++i) {
            if (std::memcmp(files_[i].data(), copies_[i].data(), copies_[i].size()) == 0) continue;
            std::memcpy(copies_[i].data(), files_[i].data(), copies_[i].size());
            changed = true;
        }
        return changed;
    }

private:
    std::vector<os::Segment> files_{};
    std::vector<Bytes> copies_{};
};

}  // namespace lab
