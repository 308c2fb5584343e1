// In place of NCCL where Fusor is built without CUDA.
#include "runtime/error.h"
#include "runtime/nccl_transport.h"

namespace fusor {

std::string why_no_nccl() { return "Fusor was built without CUDA (FUSOR_CUDA=OFF)"; }

Group nccl_group(const Group&, const Device&) { raise(why_no_nccl()); }

}  // namespace fusor
