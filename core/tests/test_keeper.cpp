// The keeper thread and the kernel's robust list: locks that outlive threads and end with processes.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "check.hpp"
#include "toroni/os/keeper.hpp"
#include "toroni/os/lock_word.hpp"
#include "toroni/os/robust_mutex.hpp"

using toroni::os::Keeper;
namespace os = toroni::os;

namespace {

struct Slot {
    pthread_mutex_t mutex;
    std::uint64_t rest[2];
};

// Shared memory with glibc mutexes at a stride that is not a power of two, as in -ri.
struct Slots {
    static constexpr std::size_t count = 5;
    Slot* all = static_cast<Slot*>(
        mmap(nullptr, sizeof(Slot) * count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    Slots() {
        for (std::size_t i = 0; i < count; ++i) os::initialize_robust_mutex(all[i].mutex);
    }
    ~Slots() { munmap(all, sizeof(Slot) * count); }
    [[nodiscard]] std::unique_ptr<Keeper> keeper() const {
        return Keeper::start(os::lock_word_address(all[0].mutex), sizeof(Slot), count);
    }
    [[nodiscard]] std::uint32_t word(std::size_t i) const { return os::load_lock_word(all[i].mutex); }
};

// Runs `in_child` in a forked process that then kills itself, and waits for its end.
template <class Function>
void in_killed_child(Function in_child) {
    const pid_t child = fork();
    if (child == 0) {
        in_child();
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

}  // namespace

TEST(locks_and_unlocks) {
    Slots slots;
    const auto keeper = slots.keeper();
    CHECK(keeper->try_lock(3));
    CHECK_EQUAL(os::owner_of(slots.word(3)), keeper->thread_id());
    CHECK(keeper->holds(3));
    CHECK(!keeper->try_lock(3));
    keeper->unlock(3);
    CHECK_EQUAL(slots.word(3), 0u);
    CHECK(!keeper->holds(3));
}

TEST(a_lock_outlives_the_thread_that_asked_for_it) {
    Slots slots;
    const auto keeper = slots.keeper();
    std::thread([&] { CHECK(keeper->try_lock(0)); }).join();
    CHECK(os::is_held(slots.word(0)));
    std::thread([&] { keeper->unlock(0); }).join();
    CHECK_EQUAL(slots.word(0), 0u);
}

TEST(the_end_of_the_keeper_unlocks_everything) {
    Slots slots;
    {
        const auto keeper = slots.keeper();
        for (std::size_t i = 0; i < Slots::count; ++i) CHECK(keeper->try_lock(i));
        keeper->unlock(2);  // from the middle of the list
    }
    for (std::size_t i = 0; i < Slots::count; ++i) CHECK_EQUAL(slots.word(i), 0u);
}

TEST(a_killed_process_leaves_owner_died_and_its_locks_can_be_taken) {
    Slots slots;
    in_killed_child([&] {
        const auto keeper = slots.keeper();
        for (std::size_t i = 0; i < Slots::count; ++i) CHECK(keeper->try_lock(i));
        keeper->unlock(1);
        raise(SIGKILL);
    });
    for (std::size_t i = 0; i < Slots::count; ++i) CHECK_EQUAL(slots.word(i), i == 1 ? 0u : FUTEX_OWNER_DIED + 0u);
    const auto keeper = slots.keeper();
    for (std::size_t i = 0; i < Slots::count; ++i) CHECK(keeper->try_lock(i));
}

TEST(glibc_sees_an_ordinary_mutex) {
    Slots slots;
    {
        const auto keeper = slots.keeper();
        CHECK(keeper->try_lock(0));
        CHECK(os::try_lock(slots.all[0].mutex) == os::LockResult::busy);
    }
    CHECK(os::try_lock(slots.all[0].mutex) == os::LockResult::acquired);
    os::unlock(slots.all[0].mutex);
    in_killed_child([&] {
        const auto keeper = slots.keeper();
        CHECK(keeper->try_lock(0));
        raise(SIGKILL);
    });
    CHECK(os::try_lock(slots.all[0].mutex) == os::LockResult::acquired_from_dead_owner);
    os::unlock(slots.all[0].mutex);
    in_killed_child([&] { CHECK(os::is_acquired(os::try_lock(slots.all[1].mutex))); });  // and the other way round
    const auto keeper = slots.keeper();
    CHECK(keeper->try_lock(1));
}

TEST(a_forked_child_touches_nothing) {
    Slots slots;
    const auto keeper = slots.keeper();
    CHECK(keeper->try_lock(0));
    const pid_t child = fork();
    if (child == 0) {
        const bool untouched = keeper->is_inherited() && !keeper->try_lock(1);
        keeper->unlock(0);
        const_cast<std::unique_ptr<Keeper>&>(keeper).reset();
        _exit(untouched ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(keeper->holds(0));
    CHECK_EQUAL(slots.word(1), 0u);
}

TEST(a_word_that_somebody_reset_is_forgotten_and_not_linked_twice) {
    Slots slots;
    const auto keeper = slots.keeper();
    CHECK(keeper->try_lock(0));
    CHECK(keeper->try_lock(1));
    os::initialize_robust_mutex(slots.all[0].mutex);
    CHECK(!keeper->holds(0));
    CHECK(!keeper->try_lock(0));  // still in the list
    keeper->unlock(0);
    CHECK(keeper->try_lock(0));
    CHECK(keeper->holds(1));
}
