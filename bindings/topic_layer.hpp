// The topic layer by itself, for compositions of one's own: toroni.tp.
#pragma once

#include <nanobind/nanobind.h>

namespace toroni::bindings {

void bind_topic_layer(nanobind::module_& module);

}  // namespace toroni::bindings
