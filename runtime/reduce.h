#pragma once
#include <cstdint>
#include <span>

#include "runtime/dtype.h"
#include "runtime/transport.h"

namespace fusor {

// outs[*][i] = parts[0][i] op parts[1][i] op ... for i < n: always in that order, so the result
// does not depend on how ranks are scheduled. bf16 and f16 are accumulated in f32 and
// rounded once. An output may be one of the parts. Host memory.
void reduce_in_order(DType, ReduceOp, std::span<const std::byte* const> parts,
                     std::span<std::byte* const> outs, std::int64_t n);

}  // namespace fusor
