// toroni.bench._burst: both ends of a burst, for the benchmark of the core alone. They work without the GIL.
#include "burst.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace nb::literals;
using toroni::bench::BurstReader, toroni::bench::BurstWriter;

NB_MODULE(_burst, module) {
    using Unlocked = nb::call_guard<nb::gil_scoped_release>;
    nb::class_<BurstWriter>(module, "BurstWriter", "Writes bursts of messages of `size` bytes to a bus.")
        .def(nb::init<const std::string&, std::size_t>(), "bus"_a, "size"_a)
        .def("write", &BurstWriter::write, "count"_a, "one_by_one"_a, Unlocked(),
             "Creates `count` messages and writes them as one batch, or one by one: ns that the writing took.");
    nb::class_<BurstReader>(module, "BurstReader", "Reads bursts of messages of `size` bytes; from now on misses none.")
        .def(nb::init<const std::string&, std::size_t>(), "bus"_a, "size"_a)
        .def("read", &BurstReader::read, "expected"_a, "is_latency"_a, Unlocked(),
             "Reads until `expected` messages have come: ns from the first to the last; and, if `is_latency`, those "
             "from "
             "the creation of each until it had come, added up.");
}
