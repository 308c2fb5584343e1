#include "runtime/nccl_library.h"

#include "runtime/library_faults.h"
#include "runtime/transport.h"

namespace fusor {
namespace {

constexpr int kOldest = 21800;  // communicators that do not block, with all that Fusor sets of them

std::string version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

const NcclLibrary& nccl_library() {
  static const NcclLibrary library = load_nccl();  // a failure is tried, and told, again
  return library;
}

std::string nccl_refusal(int version) {
  if (version < kOldest)
    return "it is NCCL " + version_text(version) + ", Fusor needs " + version_text(kOldest) +
           " or later";
  return fault_of("NCCL", version, "");
}

void check_nccl(ncclResult_t status, const NcclLibrary& library, const std::string& what,
                std::source_location at) {
  if (status == ncclSuccess || status == ncclInProgress) return;
  std::string text = what + ": NCCL: " + library.get_error_string(status);
  const char* const last = library.get_last_error(nullptr);
  if (last && *last) text += std::string(" (") + last + ")";
  if (status == ncclRemoteError) throw PeerFailed(text, at);
  raise(text, at);
}

}  // namespace fusor
