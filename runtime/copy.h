#pragma once
#include <vector>

#include "runtime/tensor.h"

namespace fusor {

// to = from, of the same dtype and size. Where one of the two lies on a GPU, the copy is queued on
// that device like an operator, and a host tensor must be neither freed nor written (`from`), nor
// read (`to`), before synchronize(). Where both do, they are on the same one. On meta it is
// recorded.
void copy(const Tensor& from, const Tensor& to);

// Returns when everything queued on the device is done; throws Error if some of it failed.
void synchronize(const Device&);

// `from` itself where the host can read it, else a copy that is complete. Not on meta.
Tensor on_host(const Tensor& from);

}  // namespace fusor
