#pragma once
#include <cstddef>
#include <string>

namespace fusor {

// Bytes that new work can use without swapping and without being killed: MemAvailable of Linux, or
// what the container's limit (a cgroup of version 2) leaves, where that is less. Without such
// figures, the largest number.
std::size_t available_host_memory(const std::string& cgroup = "/sys/fs/cgroup");

// The most bytes of memory that this process has held at a time: its peak resident set.
std::size_t peak_resident_bytes();

}  // namespace fusor
