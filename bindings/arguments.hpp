// Python arguments -> what the core takes.
#pragma once

#include <nanobind/nanobind.h>

#include <cmath>
#include <optional>
#include <string>

#include "blocking.hpp"
#include "errors.hpp"

namespace toroni::bindings {

// Seconds, None for ever.
inline std::optional<os::Nanoseconds> to_timeout(std::optional<double> seconds) {
    if (!seconds || *seconds == HUGE_VAL) return std::nullopt;
    if (!(*seconds >= 0)) raise("InvalidArgument", "a timeout is None or a number of seconds from 0");
    constexpr double longest = 365.0 * 86400;
    return os::Nanoseconds{static_cast<std::int64_t>(std::min(*seconds, longest) * 1e9)};
}

// Of how many messages a call takes at most.
inline void check_most(std::size_t most) {
    if (most == 0) raise("InvalidArgument", "max must be at least 1");
}

// From a policy object of toroni/_backpressure.py, or a callable.
struct Policy {
    blocking::WriteRequest request{.overwrite = true, .timeout = os::Nanoseconds{1'000'000'000}};
    bool drop = false;                 // what there is no room for, without an error
    nb::object callable = nb::none();  // where the request asks
};

inline Policy to_policy(nb::handle object) {
    Policy policy;
    blocking::WriteRequest& request = policy.request;
    if (PyType_Check(object.ptr()) || !nb::hasattr(object, "_rule")) {
        if (!PyCallable_Check(object.ptr()) || PyType_Check(object.ptr())) {
            throw nb::type_error(
                "backpressure must be one of Wait(), Overwrite(), Sleep(), Drop(), Fail(), or a callable");
        }
        request.may_wait = request.overwrite = false;
        request.ask = policy.drop = true;
        policy.callable = nb::borrow(object);
        return policy;
    }
    const auto rule = nb::cast<std::string>(object.attr("_rule"));
    request.sleep = rule == "sleep";
    request.may_wait = request.sleep || rule == "wait";
    request.overwrite = request.may_wait || rule == "overwrite";
    policy.drop = rule == "drop";
    if (request.may_wait) {
        const nb::object timeout = object.attr(request.sleep ? "seconds" : "timeout");
        const double seconds = timeout.is_none() ? HUGE_VAL : PyFloat_AsDouble(timeout.ptr());
        if (PyErr_Occurred() != nullptr) throw nb::python_error();
        request.timeout = to_timeout(seconds);
        if (request.sleep && !request.timeout) raise("InvalidArgument", "Sleep takes a number of seconds");
    }
    return policy;
}

// "now", "oldest" or a position.
inline ring::Start to_start(nb::handle start) {
    if (nb::isinstance<nb::str>(start)) {
        const auto text = nb::cast<std::string>(start);
        if (text == "now") return {ring::StartKind::now};
        if (text == "oldest") return {ring::StartKind::oldest};
    } else if (PyLong_Check(start.ptr()) && !PyBool_Check(start.ptr())) {
        std::uint64_t position = 0;
        if (nb::try_cast(start, position)) return {ring::StartKind::position, position};
    }
    raise("InvalidArgument",
          "start must be 'now', 'oldest' or a position; got " + nb::cast<std::string>(nb::repr(start)));
}

inline nb::object check_on_loss(nb::handle on_loss) {
    if (nb::isinstance<nb::str>(on_loss)) {
        const auto text = nb::cast<std::string>(on_loss);
        if (text == "raise" || text == "skip") return nb::borrow(on_loss);
    } else if (PyCallable_Check(on_loss.ptr())) {
        return nb::borrow(on_loss);
    }
    raise("InvalidArgument",
          "on_loss must be 'raise', 'skip' or a callable; got " + nb::cast<std::string>(nb::repr(on_loss)));
}

}  // namespace toroni::bindings
