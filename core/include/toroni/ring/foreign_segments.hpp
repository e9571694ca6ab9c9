// Segments as a C++ or Java process makes them: the base format and not a byte more, without our guarantees for
// making them. For the test agent, and for tests.
#pragma once

#include "toroni/ring/memory.hpp"

namespace toroni::ring {

// Opens both, or makes those that are missing: zero-filled, not initialised.
void open_or_make_foreign(const Options& options);

// Writes fresh base headers, also over a bus in use: its stream begins anew. Killed in the middle it leaves a bus
// that is not initialised.
void initialize_foreign(const Options& options);

}  // namespace toroni::ring
