// What the test agent does that no user of the library should.
#pragma once

#include <nanobind/nanobind.h>

namespace toroni::bindings {

void bind_agent(nanobind::module_& module);

}  // namespace toroni::bindings
