#pragma once
#include <string>

#include "runtime/transport.h"

namespace fusor {

// Why this process cannot use NCCL: built without CUDA, no library, one that is not to be used.
// Empty where it can.
std::string why_no_nccl();

// The ranks of `host`, which moves host tensors, to exchange tensors of `device` by NCCL. No two
// ranks share a GPU. Throws Error as why_no_nccl says.
Group nccl_group(const Group& host, const Device& device);

}  // namespace fusor
