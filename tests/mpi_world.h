#pragma once
#include "runtime/world.h"

namespace fusor {

// The ranks that run this test program: mpirun's, or this process alone. Tests of RANKS use it.
World& test_world();

}  // namespace fusor
