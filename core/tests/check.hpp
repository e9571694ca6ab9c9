// The smallest test harness that says what failed: no library to install on a fresh machine.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

struct Register {
    Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
    std::cerr << file << ":" << line << ": " << what << std::endl;
    std::abort();
}

}  // namespace check

#define TEST(name)                                              \
    static void test_##name();                                  \
    static check::Register register_##name(#name, test_##name); \
    static void test_##name()

#define CHECK(condition) \
    if (!(condition)) check::fail(__FILE__, __LINE__, "not true: " #condition)

#define CHECK_EQUAL(a, b)                                                                             \
    do {                                                                                              \
        const auto left_ = (a);                                                                       \
        const auto right_ = (b);                                                                      \
        if (!(left_ == right_))                                                                       \
            check::fail(__FILE__, __LINE__,                                                           \
                        #a " is " + std::to_string(left_) + ", " #b " is " + std::to_string(right_)); \
    } while (false)

#define CHECK_THROWS(expression, wanted)                                                                              \
    try {                                                                                                             \
        static_cast<void>(expression);                                                                                \
        check::fail(__FILE__, __LINE__, "no error: " #expression);                                                    \
    } catch (const toroni::base::Error& error_) {                                                                     \
        if (error_.code() != (wanted)) check::fail(__FILE__, __LINE__, std::string("other error: ") + error_.what()); \
    }

int main() {
    for (const auto& test : check::tests()) {
        std::cout << test.name << std::endl;
        test.run();
    }
    std::cout << check::tests().size() << " passed" << std::endl;
}
