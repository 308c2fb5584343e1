#include "ops/attention_cuda.h"

#include <algorithm>
#include <type_traits>

#include "ops/attention_cudnn.h"

namespace fusor::ops::kernels {

template <class T, class Y>
void attention(Cuda on, const AttentionShape& s, const Visible& visible, const Qkv<const T>& in,
               const AttentionResult<T, Y>& to, std::byte* workspace) {
  if constexpr (is_half(dtype_of<Y>))
    if (cudnn_attention(on, s, visible, in, to, workspace).empty()) return;
  cuda::attention_tiles(on, s, visible, in, to);
}

template <class T, class D>
void attention_backward(Cuda on, const AttentionShape& s, const Visible& visible,
                        const AttentionGradient<T, D>& g, std::byte* workspace) {
  if constexpr (is_half(dtype_of<D>))
    if (cudnn_attention_backward(on, s, visible, g, workspace).empty()) return;
  cuda::attention_backward_tiles(on, s, visible, g, workspace);
}

template <class T>
std::size_t attention_workspace(Cuda, const AttentionShape& s, bool plain) {
  return plain && is_half(dtype_of<T>) ? cudnn_attention_workspace(dtype_of<T>, s) : 0;
}

template <class T, class D>
std::size_t attention_backward_workspace(Cuda, const AttentionShape& s, std::int64_t keys,
                                         bool plain) {
  const std::size_t own = cuda::attention_backward_tiles_workspace<T>(s);
  if (!plain || !is_half(dtype_of<D>)) return own;
  return std::max(own, cudnn_attention_backward_workspace(dtype_of<D>, s, keys));
}

#define FUSOR_ATTENTION(T, Y)                                                               \
  template void attention(Cuda, const AttentionShape&, const Visible&, const Qkv<const T>&, \
                          const AttentionResult<T, Y>&, std::byte*);                        \
  template void attention_backward(Cuda, const AttentionShape&, const Visible&,             \
                                   const AttentionGradient<T, Y>&, std::byte*);             \
  template std::size_t attention_backward_workspace<T, Y>(Cuda, const AttentionShape&,      \
                                                          std::int64_t, bool);
FUSOR_ATTENTION(double, double)
FUSOR_ATTENTION(float, float)
FUSOR_ATTENTION(bf16, bf16)
FUSOR_ATTENTION(f16, f16)
FUSOR_ATTENTION(bf16, float)
FUSOR_ATTENTION(f16, float)
#undef FUSOR_ATTENTION

template std::size_t attention_workspace<double>(Cuda, const AttentionShape&, bool);
template std::size_t attention_workspace<float>(Cuda, const AttentionShape&, bool);
template std::size_t attention_workspace<bf16>(Cuda, const AttentionShape&, bool);
template std::size_t attention_workspace<f16>(Cuda, const AttentionShape&, bool);

}  // namespace fusor::ops::kernels
