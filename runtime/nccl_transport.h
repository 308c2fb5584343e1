#pragma once
#include <string>

#include "runtime/transport.h"

namespace fusor {

// Why this process cannot use NCCL: built without CUDA, no library, one that is not to be used.
// Empty where it can.
std::string why_no_nccl();

// The ranks of `host`, which moves host tensors, to exchange tensors of `device` by NCCL too. No
// two ranks share a GPU. Throws Error as why_no_nccl says.
// - The host waits for nothing: a call begins when the device comes to it, and wait() makes the
//   device wait. Operands may be let go after wait(), as others that are queued may.
// - Sums are added in an order that NCCL chooses, by the number of ranks and the size; of 16-bit
//   types they are rounded at every hop. Exact sums of gradients need neither
//   (parallel/bucket_sum.h).
// - A communicator is made when it is first used, in the background; each takes memory of the GPU
//   besides what is planned. There is one for a group's collectives, and one for each pair of ranks
//   and direction of messages, so that receives can be posted before sends.
// - An error of NCCL, a peer that is lost and one that does not come within ten minutes are thrown
//   where the host next waits or calls; this rank's communicators are aborted before.
Group nccl_group(const Group& host, const Device& device);

}  // namespace fusor
