// Opening, using and removing a bus of damaged files.
#include <fcntl.h>
#include <sys/stat.h>

#include "bus.hpp"
#include "toroni/ring/reader.hpp"
#include "toroni/ring/segments.hpp"

namespace {

using namespace fuzz;

using Image = std::vector<char>;

Image read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::uint64_t allocated(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
}

void damage(Input& input, Image& image) {
    for (auto rounds = input.below(8); rounds != 0 && !image.empty(); --rounds) {
        const auto at =
            input.ConsumeBool() ? input.below(std::min<std::size_t>(image.size(), 96)) : input.below(image.size());
        input.fill(image.data() + at, std::min<std::size_t>(image.size() - at, 1 + input.below(8)));
    }
}

// Longer than its bytes, it has a hole behind them.
std::uint64_t length_of(Input& input, const Image& image) {
    switch (input.below(4)) {
        case 0: return input.below(image.size() + 1);
        case 1: return image.size() + input.below(8192);
        case 2: return input.below(std::uint64_t{16} << 20);
        default: return image.size();
    }
}

void make_file(Input& input, const std::string& path, Image image) {
    std::filesystem::remove(path);
    if (input.below(16) == 0) return;
    damage(input, image);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const auto length = length_of(input, image);
    require(file >= 0 && write(file, image.data(), image.size()) == static_cast<ssize_t>(image.size()));
    require(ftruncate(file, static_cast<off_t>(length)) == 0);
    close(file);
}

void use(Input& input, const std::shared_ptr<ring::Memory>& memory) {
    const Guard guard(*memory);
    require(ring::is_valid_capacity(memory->capacity()));
    if (memory->may_read()) {
        const ring::Start start{static_cast<ring::StartKind>(input.below(3)),
                                input.near(memory->ring().free_pos.load())};
        ring::Reader reader(memory, start, "fuzzed");
        const auto status = reader.begin(10, 10000);
        if (status != ring::ReadStatus::messages && status != ring::ReadStatus::empty) reader.resume(status);
    }
    static_cast<void>(ring::describe(ring::list_readers(*memory)));
    ring::Writer writer(memory);
    if (memory->may_write() && os::is_acquired(writer.try_lock())) {
        publish(writer, 1 + static_cast<std::uint32_t>(input.below(memory->capacity() / 2)));
        writer.unlock();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static TemporaryBus& bus = *new TemporaryBus(1024, 3);
    static const auto images = [] {
        std::atexit([] { std::filesystem::remove_all(bus.options.directory); });
        ring::Writer writer(bus.open());
        publish(writer, 100);
        return std::pair{read_file(bus.path("rb")), read_file(bus.path("ri"))};
    }();
    Input input(data, size);
    make_file(input, bus.path("rb"), images.first);
    make_file(input, bus.path("ri"), images.second);
    ring::Options options = bus.options;
    options.role = static_cast<ring::Role>(input.below(4));
    options.create = input.ConsumeBool();
    options.capacity = options.create || input.ConsumeBool() ? 1024 : 0;
    options.max_readers = 0;
    // A file that is refused is not filled: a page may come of a look into a hole, where an extension would begin.
    constexpr std::uint64_t looked_at = 2 * 4096;
    const auto before = allocated(bus.path("rb")) + allocated(bus.path("ri"));
    try {
        use(input, ring::Memory::open(options));
    } catch (const base::Error& error) {
        const bool is_damaged = error.code() == base::ErrorCode::damaged;
        const auto after = allocated(bus.path("rb")) + allocated(bus.path("ri"));
        require(error.what()[0] != '\0' && (!is_damaged || after <= before + looked_at));
    }
    try {
        ring::Memory::remove(bus.options.name, bus.options.directory);
    } catch (const base::Error&) {
    }
    return 0;
}
