// Making, opening, checking and removing a bus.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "check.hpp"
#include "temporary_bus.hpp"
#include "toroni/base/error.hpp"

using namespace toroni;
using base::ErrorCode;

namespace {

void overwrite(const std::string& path, std::size_t offset, const void* bytes, std::size_t size) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
}

template <class Value>
void overwrite(const std::string& path, std::size_t offset, Value value) {
    overwrite(path, offset, &value, sizeof value);
}

std::uint64_t bus_id(const ring::Memory& memory) { return memory.ring_extension()->identity.bus_id; }

}  // namespace

TEST(makes_a_bus_and_opens_it_again) {
    TemporaryBus bus(4096, 8);
    const auto made = bus.open();
    CHECK_EQUAL(made->capacity(), 4096u);
    CHECK_EQUAL(made->max_readers(), 8u);
    CHECK(!made->is_foreign());
    bus.options.capacity = 0;
    bus.options.max_readers = 0;
    const auto opened = bus.open();
    CHECK_EQUAL(opened->capacity(), 4096u);
    CHECK_EQUAL(bus_id(*made), bus_id(*opened));
    CHECK_EQUAL(made->ring_extension()->identity.bus_id, made->info_extension()->identity.bus_id);
    CHECK_EQUAL(std::filesystem::file_size(bus.path("rb")), base::ring_size(4096));
}

TEST(the_mode_is_exact_whatever_the_umask) {
    const mode_t before = umask(077);
    TemporaryBus bus;
    bus.options.mode = 0660;
    bus.open();
    umask(before);
    struct stat status{};
    stat(bus.path("rb").c_str(), &status);
    CHECK_EQUAL(status.st_mode & 0777u, 0660u);
}

TEST(refuses_what_cannot_be) {
    TemporaryBus bus;
    const auto with = [&](auto change) {
        ring::Options options = bus.options;
        change(options);
        return [options] { return ring::Memory::open(options); };
    };
    for (const std::uint64_t capacity : {1u, 32u, 63u, 65u, 4095u}) {
        CHECK_THROWS(with([&](auto& options) { options.capacity = capacity; })(), ErrorCode::invalid_argument);
    }
    CHECK_THROWS(with([](auto& options) { options.capacity = std::uint64_t{1} << 33; })(), ErrorCode::invalid_argument);
    CHECK_THROWS(with([](auto& options) { options.max_readers = 2049; })(), ErrorCode::invalid_argument);
    for (const std::string name : {"", "a/b", "/"}) {
        CHECK_THROWS(with([&](auto& options) { options.name = name; })(), ErrorCode::invalid_argument);
    }
    CHECK_THROWS(with([](auto& options) { options.name = std::string("a\0b", 3); })(), ErrorCode::invalid_argument);
    with([](auto& options) { options.name = std::string(245, 'n'); })();
    CHECK_THROWS(with([](auto& options) { options.name = std::string(246, 'n'); })(), ErrorCode::invalid_argument);
}

TEST(other_sizes_than_the_bus_has_are_an_error_that_says_both) {
    TemporaryBus bus(4096, 8);
    bus.open();
    bus.options.capacity = 8192;
    CHECK_THROWS(bus.open(), ErrorCode::incompatible);
    try {
        bus.open();
    } catch (const base::Error& error) {
        const std::string text = error.what();
        CHECK(text.find("4096") != text.npos && text.find("8192") != text.npos);
    }
    bus.options.capacity = 0;
    bus.options.max_readers = 9;
    CHECK_THROWS(bus.open(), ErrorCode::incompatible);
}

TEST(damaged_and_truncated_segments_are_refused) {
    const auto damaged = [](const char* suffix, auto damage, ErrorCode wanted) {
        TemporaryBus bus(4096, 8);
        bus.open();
        damage(bus.path(suffix));
        CHECK_THROWS(bus.open(), wanted);
    };
    const auto damage = ErrorCode::damaged;
    for (const char* suffix : {"rb", "ri"}) {
        damaged(suffix, [](auto path) { std::filesystem::resize_file(path, 10); }, damage);
        damaged(suffix, [](auto path) { std::filesystem::resize_file(path, 100); }, damage);
        damaged(suffix, [](auto path) { std::filesystem::resize_file(path, 0); }, ErrorCode::not_ready);
        damaged(
            suffix,
            [](auto path) {
                std::filesystem::remove(path);
                std::filesystem::create_directory(path);
            },
            damage);
    }
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 0, 0); }, damage);
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 0, 4095); }, damage);
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 0, 32); }, damage);
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 0, 8192); }, damage);
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 0, std::uint64_t{1} << 63); }, damage);
    damaged("rb", [](auto path) { overwrite<std::uint8_t>(path, 72, 0); }, ErrorCode::not_ready);
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 8 + 16, 0); }, damage);           // the mutex's kind
    damaged("rb", [](auto path) { overwrite<std::uint64_t>(path, 4224 + 192 + 16, 0); }, damage);  // the room mutex's
    damaged("rb", [](auto path) { overwrite<std::uint32_t>(path, 4224 + 40, 77); }, ErrorCode::incompatible);
    damaged("ri", [](auto path) { overwrite<std::uint16_t>(path, 26, 0); }, damage);
    damaged("ri", [](auto path) { overwrite<std::uint16_t>(path, 26, 65535); }, damage);
    damaged("ri", [](auto path) { overwrite<std::uint16_t>(path, 26, 2000); }, damage);
    damaged("ri", [](auto path) { overwrite<std::uint8_t>(path, 24, 0); }, ErrorCode::not_ready);
    // A link could lead anywhere.
    damaged(
        "rb",
        [](auto path) {
            std::filesystem::rename(path, path + "-elsewhere");
            std::filesystem::create_symlink(path + "-elsewhere", path);
        },
        damage);
}

TEST(an_unknown_extension_is_treated_as_not_there) {
    TemporaryBus bus(4096, 8);
    bus.open();
    overwrite<std::uint32_t>(bus.path("rb"), 4224 + 8, 2);  // a later version
    const auto memory = bus.open();
    CHECK(memory->ring_extension() == nullptr);
    CHECK(memory->info_extension() != nullptr);
    CHECK(memory->is_foreign());
}

TEST(segments_of_the_base_size_open) {
    TemporaryBus bus(4096, 2);
    bus.open();
    bus.make_foreign("rb", 80 + 4096);
    bus.make_foreign("ri", 32 + 2 * 56);
    const auto memory = bus.open();
    CHECK(memory->is_foreign());
    CHECK(memory->ring_extension() == nullptr && memory->info_extension() == nullptr);
}

TEST(another_pid_namespace_is_refused) {
    TemporaryBus bus;
    bus.open();
    overwrite<std::uint64_t>(bus.path("ri"), base::reader_info_extension_offset(8) + 32, 12345);
    CHECK_THROWS(bus.open(), ErrorCode::incompatible);
}

TEST(a_maker_that_died_between_the_segments_and_a_stale_ring_are_mended) {
    TemporaryBus bus;
    const auto old = bus.open();
    std::filesystem::remove(bus.path("rb"));  // a remover was killed between the two
    CHECK_THROWS(bus.open(), ErrorCode::not_ready);
    const auto next = bus.open();  // nothing is shared with those who still have the old one
    CHECK(bus_id(*next) != bus_id(*old));
    CHECK(next->info_extension()->identity.bus_id != bus_id(*old));
    std::filesystem::remove(bus.path("ri"));  // now -rb is of another bus than the -ri to come
    const auto memory = bus.open();
    CHECK(bus_id(*memory) != bus_id(*next));
    std::filesystem::rename(bus.path("rb"), bus.path("rb-other"));
    std::filesystem::remove(bus.path("ri"));
    bus.open();
    std::filesystem::rename(bus.path("rb-other"), bus.path("rb"));  // and one of another than the -ri that is there
    CHECK_THROWS(bus.open(), ErrorCode::not_ready);
    bus.open();
}

TEST(both_segments_always_carry_one_id) {
    TemporaryBus bus;
    const auto memory = bus.open();
    CHECK_EQUAL(memory->info_extension()->identity.bus_id, bus_id(*memory));
    CHECK_EQUAL(bus_id(*bus.open()), bus_id(*memory));
}

TEST(roles_map_no_more_than_they_need) {
    TemporaryBus bus;
    const auto dies_writing = [&](ring::Role role, auto address_of) {
        const pid_t child = fork();
        if (child == 0) {
            auto options = bus.options;
            options.role = role;
            const auto memory = ring::Memory::open(options);
            signal(SIGSEGV, SIG_DFL);
            auto* address = address_of(*memory);
            *address = *address;
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
    };
    const auto ring_byte = [](const ring::Memory& memory) { return reinterpret_cast<volatile char*>(memory.data()); };
    const auto info_byte = [](const ring::Memory& memory) { return reinterpret_cast<volatile char*>(&memory.info()); };
    // The first of each pair also makes the bus, with more rights than it keeps.
    CHECK(dies_writing(ring::Role::reader, ring_byte));
    CHECK(!dies_writing(ring::Role::reader, info_byte));
    ring::Memory::remove("bus", bus.options.directory);
    CHECK(dies_writing(ring::Role::writer, info_byte));
    CHECK(!dies_writing(ring::Role::writer, ring_byte));
    CHECK(dies_writing(ring::Role::observer, ring_byte));
    CHECK(dies_writing(ring::Role::observer, info_byte));
}

TEST(a_bus_that_is_not_to_be_made) {
    TemporaryBus bus;
    const auto code_of = [&](ring::Role role, bool create) {
        auto options = bus.options;
        options.role = role;
        options.create = create;
        try {
            static_cast<void>(ring::Memory::open(options));
        } catch (const base::Error& error) {
            return std::optional(error.code());
        }
        return std::optional<ErrorCode>();
    };
    const std::pair<ring::Role, bool> ways[] = {{ring::Role::observer, true},
                                                {ring::Role::both, false},
                                                {ring::Role::reader, false},
                                                {ring::Role::writer, false}};
    for (const auto& [role, create] : ways) CHECK(code_of(role, create) == ErrorCode::not_found);
    CHECK(std::filesystem::is_empty(bus.options.directory));  // nothing was made
    static_cast<void>(bus.open());
    for (const auto& [role, create] : ways) CHECK(!code_of(role, create));
    // Half a bus, left by the dead, is nobody's to mend who only looks.
    std::filesystem::remove(bus.path("rb"));
    for (const auto& [role, create] : ways) CHECK(code_of(role, create) == ErrorCode::not_found);
    CHECK(std::filesystem::exists(bus.path("ri")));
    const auto info = os::Segment::open(bus.path("ri"), os::Access::read_only);
    CHECK(info->try_flock());  // by its maker, who is alive
    for (const auto& [role, create] : ways) CHECK(code_of(role, create) == ErrorCode::not_ready);
}

TEST(removal) {
    TemporaryBus bus;
    const auto memory = bus.open();
    CHECK(ring::Memory::remove("bus", bus.options.directory));
    CHECK(!ring::Memory::remove("bus", bus.options.directory));
    const auto next = bus.open();
    CHECK(bus_id(*memory) != bus_id(*next));
    // Empty files, which nobody can map, can be removed.
    std::filesystem::resize_file(bus.path("ri"), 0);
    CHECK(ring::Memory::remove("bus", bus.options.directory));
    CHECK(std::filesystem::is_empty(bus.options.directory));
}

TEST(raced_by_many_threads_making_and_removing_everybody_gets_a_whole_bus) {
    TemporaryBus bus;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 300; ++i) {
                try {
                    if (t == 0 && i % 3 == 0) {
                        ring::Memory::remove("bus", bus.options.directory);
                    } else {
                        const auto memory = bus.open();
                        CHECK_EQUAL(memory->ring_extension()->identity.bus_id,
                                    memory->info_extension()->identity.bus_id);
                    }
                } catch (const base::Error& error) {
                    if (error.code() != ErrorCode::not_ready) check::fail(__FILE__, __LINE__, error.what());
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
}
