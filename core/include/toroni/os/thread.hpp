// The few threads of our own.
#pragma once

#include <pthread.h>

#include <string>

namespace toroni::os {

// Starts a thread with a small stack and all signals blocked: they are for the application's threads; a handler here
// would need a larger stack, and would keep a signal from interrupting the wait of the main thread. `purpose`
// completes "cannot start the thread that ...".
[[nodiscard]] pthread_t start_thread(void* (*run)(void*), void* argument, const std::string& purpose);

}  // namespace toroni::os
