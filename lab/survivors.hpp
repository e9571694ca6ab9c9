// What those who were there before, and those who come after, must find when the victim is dead.
#pragma once

#include <cstddef>

#include "scene.hpp"

namespace lab {

// Throws Wrong, or whatever the core throws. Returns how many of the victim's messages are there.
std::size_t examine(Scene& scene);

}  // namespace lab
