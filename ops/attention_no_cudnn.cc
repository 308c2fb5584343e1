// In place of attention_cudnn.cc where Fusor is built without cuDNN.
#include "ops/attention_cudnn.h"

namespace fusor::ops {
namespace {

constexpr char kNoCudnn[] = "Fusor was built without cuDNN";

}  // namespace

std::string why_no_cudnn() { return kNoCudnn; }

std::string cudnn_attention(Cuda, const AttentionShape&, const Visible&,
                            const kernels::Qkv<const bf16>&,
                            const kernels::AttentionResult<bf16, bf16>&, std::byte*) {
  return kNoCudnn;
}
std::string cudnn_attention_backward(Cuda, const AttentionShape&, const Visible&,
                                     const kernels::AttentionGradient<bf16, bf16>&, std::byte*) {
  return kNoCudnn;
}

std::size_t cudnn_attention_workspace(const AttentionShape&) { return 0; }
std::size_t cudnn_attention_backward_workspace(const AttentionShape&, std::int64_t) { return 0; }

}  // namespace fusor::ops
