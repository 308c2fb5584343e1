#include "runtime/library_faults.h"

#include <algorithm>
#include <array>

namespace fusor {
namespace {

constexpr std::array kFaults{
    // NVIDIA's cudnn-frontend refuses them too (sdpa_support_surface.h).
    LibraryFault{"cuDNN", 91000, 91001, "attention",
                 "fused attention of 16-bit types gives wrong results in 9.10.0 and 9.10.1"},
};

}  // namespace

std::span<const LibraryFault> library_faults() { return kFaults; }

std::string fault_of(std::string_view library, int version, std::string_view what) {
  const auto fault = std::ranges::find_if(kFaults, [&](const LibraryFault& f) {
    return f.library == library && f.first <= version && version <= f.last &&
           (f.what.empty() || f.what == what);
  });
  if (fault == kFaults.end()) return "";
  return std::string(library) + " " + std::to_string(version) + ": " + std::string(fault->reason);
}

}  // namespace fusor
