#include "runtime/library_faults.h"

#include <algorithm>
#include <array>

namespace fusor {
namespace {

constexpr std::array kFaults{
    // cudnn-frontend 1.32 refuses these two (sdpa_support_surface.h).
    LibraryFault{"cuDNN", 91000, 91001, "attention",
                 "fused attention of 16-bit types gives wrong results in 9.10.0 and 9.10.1"},
    LibraryFault{"cuDNN", 91400, 91400, "sliding-window attention",
                 "without a causal mask and with more than 1,024 keys, 9.14.0 gives wrong results"},
    // cudnn-frontend's notes to release 1.16.
    LibraryFault{"cuDNN", 0, 91500, "attention of uneven lengths",
                 "where 128 does not divide the keys, backward in a replayed CUDA graph reads "
                 "memory that is not its own before 9.15.1"},
    // TransformerEngine, pull request 2584.
    LibraryFault{"cuDNN", 0, 91800, "deterministic attention on Blackwell",
                 "the bits of attention's backward differ from run to run before 9.18.1"},
    // NCCL's notes to release 2.18.1.
    LibraryFault{"NCCL", 21801, 21801, "",
                 "2.18.1 may corrupt data where a network card shares a PCI switch with one GPU"},
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
