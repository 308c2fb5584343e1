#pragma once
#include <cstddef>

namespace fusor {

// Bytes of this host that new work can use without swapping: MemAvailable of Linux.
std::size_t available_host_memory();

// The most bytes of memory that this process has held at a time: its peak resident set.
std::size_t peak_resident_bytes();

}  // namespace fusor
