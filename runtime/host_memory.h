#pragma once
#include <cstddef>

namespace fusor {

// Bytes of this host that new work can use without swapping: MemAvailable of Linux.
std::size_t available_host_memory();

}  // namespace fusor
