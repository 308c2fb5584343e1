#pragma once
#include <cstddef>

#include "ops/attention_kernels.h"

// The own CUDA kernels of attention: every dtype, head_dim and mask. attention_cuda.cc chooses
// between them and cuDNN's.
namespace fusor::ops::cuda {

template <class T, class Y>
void attention_tiles(Cuda, const AttentionShape&, const Visible&, const kernels::Qkv<const T>&,
                     const kernels::AttentionResult<T, Y>&);

template <class T, class D>
void attention_backward_tiles(Cuda, const AttentionShape&, const Visible&,
                              const kernels::AttentionGradient<T, D>&, std::byte* workspace);
// One sum for each query.
template <class T>
std::size_t attention_backward_tiles_workspace(const AttentionShape& s) {
  return static_cast<std::size_t>(s.batch * s.heads * s.seq_len) * sizeof(acc_t<T>);
}

}  // namespace fusor::ops::cuda
