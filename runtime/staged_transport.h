#pragma once
#include "runtime/transport.h"

namespace fusor {

// The ranks of `host`, to exchange tensors of `device` too: through host memory, so that several
// ranks may share one GPU. A call waits until the device has computed and copied its operand;
// wait() waits for the other ranks, then queues the copy of the result, which later operators see.
// Reductions round as those of `host`. Other tensors go straight to `host`. Host memory that copies
// went through is used again, also by the groups that are split off. The group keeps the device.
Group staged(const Group& host, const Device& device);

}  // namespace fusor
