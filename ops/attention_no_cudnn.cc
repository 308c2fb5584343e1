// In place of attention_cudnn.cc where Fusor is built without cuDNN.
#include "ops/attention_cudnn.h"

namespace fusor::ops {
namespace {

constexpr char kNoCudnn[] = "Fusor was built without cuDNN";

}  // namespace

std::string why_no_cudnn() { return kNoCudnn; }

template <class T>
std::string cudnn_attention(Cuda, const AttentionShape&, const Visible&,
                            const kernels::Qkv<const T>&, const kernels::AttentionResult<T, T>&,
                            std::byte*) {
  return kNoCudnn;
}
template <class T>
std::string cudnn_attention_backward(Cuda, const AttentionShape&, const Visible&,
                                     const kernels::AttentionGradient<T, T>&, std::byte*) {
  return kNoCudnn;
}

std::size_t cudnn_attention_workspace(DType, const AttentionShape&) { return 0; }
std::size_t cudnn_attention_backward_workspace(DType, const AttentionShape&, std::int64_t) {
  return 0;
}

#define FUSOR_CUDNN(T)                                                                       \
  template std::string cudnn_attention(Cuda, const AttentionShape&, const Visible&,          \
                                       const kernels::Qkv<const T>&,                         \
                                       const kernels::AttentionResult<T, T>&, std::byte*);   \
  template std::string cudnn_attention_backward(Cuda, const AttentionShape&, const Visible&, \
                                                const kernels::AttentionGradient<T, T>&,     \
                                                std::byte*);
FUSOR_CUDNN(bf16)
FUSOR_CUDNN(f16)
#undef FUSOR_CUDNN

}  // namespace fusor::ops
