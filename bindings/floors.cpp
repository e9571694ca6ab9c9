// toroni.bench._floors: what the benchmark needs natively, without the core: the floors under every library, and the
// check of each message.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include "checker.hpp"
#include "floors_memory.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace toroni::floors;

namespace {

void die_with_parent(int parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) raise(SIGKILL);  // it has died before
}

double checked(double value) {
    if (value < 0) throw nb::python_error();
    return value;
}

void bind_checker(nb::module_& module) {
    nb::class_<Checker>(module, "Checker", "Looks at all that one subscriber gets: length, number and order.")
        .def(nb::init<std::uint64_t, std::uint64_t, std::uint64_t>(), "size"_a, "publishers"_a, "cycle"_a)
        .def(
            "accept", [](Checker& self, nb::handle message) { return self.accept(message.ptr()); }, "message"_a.none(),
            "Whether it was a message and not None, and others will come.")
        .def(
            "accept_many",
            [](Checker& self, nb::handle messages) {
                const bool more = self.accept_many(messages.ptr());
                if (PyErr_Occurred()) throw nb::python_error();
                return more;
            },
            "messages"_a, "Whether there were any, and others will come.")
        .def(
            "accept_columns",
            [](Checker& self, nb::handle data, nb::handle offsets) {
                const bool more = self.accept_columns(data.ptr(), offsets.ptr());
                if (PyErr_Occurred()) throw nb::python_error();
                return more;
            },
            "data"_a, "offsets"_a,
            "The same for messages behind each other, with 64-bit places where each begins and ends.")
        .def_prop_ro("ended", &Checker::ended, "Whether the last message of each publisher has come.")
        .def_prop_ro("received_by", &Checker::received_by, "How many came of each publisher.")
        .def_prop_ro("damaged", &Checker::damaged, "How many had a wrong length, or came of nobody.")
        .def_prop_ro("disordered", &Checker::disordered, "How many came after a later one of their publisher.")
        .def_prop_ro("order", &Checker::order, "A hash of the order of all.")
        .def_prop_ro("first_time", &Checker::first_time,
                     "When the first message or batch had come, CLOCK_MONOTONIC ns.")
        .def_prop_ro("last_time", &Checker::last_time, "When the last had come, or one of the last 16.")
        .def_prop_ro("timed", &Checker::timed, "How many came after first_time until last_time.");
}

}  // namespace

NB_MODULE(_floors, module) {
    bind_checker(module);
    module.attr("END") = END;
    module.def("die_with_parent", &die_with_parent, "parent"_a,
               "From now on this process is killed when `parent`, which started it, dies.");
    const auto unlocked = nb::call_guard<nb::gil_scoped_release>();
    module.def("wake", &wake, "count"_a, "interval"_a, "from_processor"_a = -1, "to_processor"_a = -1, unlocked,
               "Sleeping on a futex: ns from each change until the other process has seen it, one each `interval` ns; "
               "each process on that processor, or where the kernel wants.");
    module.def("ping_pong", &ping_pong, "count"_a, "spins"_a, unlocked,
               "Half the ns of each round trip between two processes, with futexes or spinning.");
    module.def("copying", &copying, "size"_a, "area"_a, "rounds"_a, unlocked, "GB/s of memcpy into shared memory.");
    module.def("locking", &locking, "count"_a, unlocked, "ns of a robust mutex's lock and unlock.");
    module.def(
        "making_bytes",
        [](Py_ssize_t size, Py_ssize_t count, int rounds) { return checked(making_bytes(size, count, rounds)); },
        "size"_a, "count"_a, "rounds"_a, "ns for each object of a list of bytes objects.");
}
