#pragma once
#include <algorithm>
#include <cstddef>

#include "ops/conv2d_kernels.h"

// The own CUDA kernels of convolutions: every shape and dtype. conv2d_cuda.cc chooses between them
// and cuDNN's.
namespace fusor::ops::cuda {

// As matrix products of tiles that are gathered as they are read: wide groups.
void conv2d_tiles(Cuda, const kernels::Conv2dCall&, const kernels::Conv2dOperands&);
// A thread for each element of the result: narrow groups, depthwise ones above all.
void conv2d_elements(Cuda, const kernels::Conv2dCall&, const kernels::Conv2dOperands&);

inline bool by_elements(const kernels::Conv2dShape& s) {
  constexpr std::int64_t kNarrow = 16;
  return s.groups > 1 && std::min(s.group_c(), s.group_k()) < kNarrow;
}

// The sums over pixels for dw are cut into so many, each a copy of dw, that are added up in order:
// a function of the shape alone, so that every GPU gives the same bits.
inline std::int64_t num_weight_sums(const kernels::Conv2dShape& s, std::int64_t blocks_each) {
  constexpr std::int64_t kBlocks = 264, kMost = 256;  // two blocks for each of 132 multiprocessors
  constexpr std::int64_t kPixels = 256;               // that are worth a block
  const std::int64_t wanted = std::min({kBlocks / blocks_each, s.pixels() / kPixels, kMost});
  return std::max<std::int64_t>(wanted, 1);
}

inline std::int64_t num_weights(const kernels::Conv2dShape& s) {
  return s.k * s.r * s.s * s.group_c();
}

// Bytes of the workspace: the partial sums.
std::size_t conv2d_tiles_workspace(const kernels::Conv2dCall&);
std::size_t conv2d_elements_workspace(const kernels::Conv2dCall&);

}  // namespace fusor::ops::cuda
