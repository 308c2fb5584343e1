#include "runtime/host_memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace fusor {
namespace {

constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

// The first number of a file; kUnknown where there is none ("max", no such file).
std::size_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::size_t number = 0;
  return file >> number ? number : kUnknown;
}

// The number behind `name` in a file of "name number" lines.
std::size_t number_of(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string key, rest;
  for (std::size_t number = 0; file >> key >> number; std::getline(file, rest))
    if (key == name) return number;
  return kUnknown;
}

// What the limit leaves; pages of files that were read once go when they are needed.
std::size_t room_in(const std::string& cgroup) {
  const std::size_t limit = number_in(cgroup + "/memory.max");
  const std::size_t used = number_in(cgroup + "/memory.current");
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  const std::size_t files = number_of(cgroup + "/memory.stat", "inactive_file");
  const std::size_t held = used - std::min(used, files == kUnknown ? 0 : files);
  return limit - std::min(limit, held);
}

}  // namespace

std::size_t available_host_memory(const std::string& cgroup) {
  const std::size_t kib = number_of("/proc/meminfo", "MemAvailable:");
  return std::min(kib == kUnknown ? kUnknown : kib * 1024, room_in(cgroup));
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace fusor
