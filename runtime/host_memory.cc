#include "runtime/host_memory.h"

#include <sys/resource.h>

#include <fstream>
#include <limits>
#include <string>

namespace fusor {

std::size_t available_host_memory() {
  std::ifstream info("/proc/meminfo");
  std::string key, unit;
  for (std::size_t kib = 0; info >> key >> kib; std::getline(info, unit))
    if (key == "MemAvailable:") return kib * 1024;
  return std::numeric_limits<std::size_t>::max();  // no such figure here: nothing to refuse by
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace fusor
