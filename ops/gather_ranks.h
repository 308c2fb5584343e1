#pragma once
#include <functional>

#include "runtime/tensor.h"

namespace fusor {

// Maps a tensor that each rank of a group has to those of all, [ranks, ...] in rank order: how an
// operator without a word of ranks is given what others know.
using GatherRanks = std::function<Tensor(const Tensor&)>;

}  // namespace fusor
