#pragma once
#include <cstdint>
#include <string>

#include "runtime/trace.h"
#include "runtime/transport.h"

namespace fusor {

// What a rank will send, in order: one line a call, "17 all_reduce dp f32 6291456
// gradients/bucket.3".
std::string planned_collectives(const Trace&);

// Compares every rank's planned collectives by their hash. Throws Error on all ranks when two
// differ, with the first call that differs and what each side planned there. Collective.
void require_same_collectives(const Group& world, const Trace&);

}  // namespace fusor
