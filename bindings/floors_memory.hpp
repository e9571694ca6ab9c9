// Floors of one process: copying, making `bytes`, locking.
#pragma once

#include <Python.h>
#include <pthread.h>

#include <cstring>
#include <vector>

#include "floors_pair.hpp"

namespace toroni::floors {

// GB/s of copying messages of `size` bytes one behind the other into `area` bytes of shared memory, again and again.
inline double copying(std::size_t size, std::size_t area, int rounds) {
    const std::size_t places = std::max<std::size_t>(area / size, 1);
    SharedMemory target(places * size);
    std::vector<char> source(places * size, 'x');
    const auto copy_all = [&] {
        for (std::size_t place = 0; place < places; ++place) {
            std::memcpy(target.bytes() + place * size, source.data() + place * size, size);
            asm volatile("" ::: "memory");
        }
    };
    copy_all();  // the first touch of each page is not what is asked
    const std::int64_t start = now();
    for (int round = 0; round < rounds; ++round) copy_all();
    return static_cast<double>(places * size) * rounds / static_cast<double>(now() - start);
}

// Nanoseconds for each object of a list of `bytes` objects, the median of the rounds. To be called with the GIL; -1
// with an error set.
inline double making_bytes(Py_ssize_t size, Py_ssize_t count, int rounds) {
    const std::vector<char> source(static_cast<std::size_t>(size), 'x');
    std::vector<std::int64_t> spent;
    spent.reserve(static_cast<std::size_t>(rounds));
    for (int round = 0; round < rounds; ++round) {
        const std::int64_t start = now();
        PyObject* list = PyList_New(count);
        if (!list) return -1;
        for (Py_ssize_t index = 0; index < count; ++index) {
            PyObject* object = PyBytes_FromStringAndSize(source.data(), size);
            if (!object) {
                Py_DECREF(list);
                return -1;
            }
            PyList_SET_ITEM(list, index, object);
        }
        spent.push_back(now() - start);
        Py_DECREF(list);
    }
    const auto middle = spent.begin() + rounds / 2;
    std::nth_element(spent.begin(), middle, spent.end());
    return static_cast<double>(*middle) / static_cast<double>(count);
}

// Nanoseconds for locking and unlocking a robust process-shared mutex that nobody else wants.
inline double locking(int count) {
    SharedMemory memory(sizeof(pthread_mutex_t));
    auto* mutex = reinterpret_cast<pthread_mutex_t*>(memory.bytes());
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    const std::int64_t start = now();
    for (int time = 0; time < count; ++time) {
        pthread_mutex_lock(mutex);
        pthread_mutex_unlock(mutex);
    }
    const std::int64_t end = now();
    pthread_mutex_destroy(mutex);
    return static_cast<double>(end - start) / count;
}

}  // namespace toroni::floors
