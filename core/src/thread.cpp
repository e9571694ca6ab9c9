#include "toroni/os/thread.hpp"

#include <csignal>

#include "toroni/os/failure.hpp"

namespace toroni::os {

pthread_t start_thread(void* (*run)(void*), void* argument, const std::string& purpose) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_t thread{};
    const int error = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) {
        fail("start the thread that " + purpose, error,
             "; raise how many threads this user or container may have (ulimit -u, --pids-limit), or how much memory "
             "(ulimit -v)");
    }
    return thread;
}

}  // namespace toroni::os
