#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "ops/attention_kernels.h"

// Attention by cuDNN's fused kernels, which kernels::attention(Cuda, ...) and its backward ask
// before they use their own. cuDNN takes bf16 and f16, and whole sequences, causal or not, whose
// heads lie as in qkv, or q and kv, of ops/attention.h, where a GPU and a sound cuDNN are at hand.
namespace fusor::ops {

// Why no attention on this thread's GPU is cuDNN's: it is not there, too old, or has a known fault.
// Empty if there may be some.
std::string why_no_cudnn();

// Queues the call and returns "", or queues nothing and returns why cuDNN does not take it.
template <class T>
std::string cudnn_attention(Cuda, const AttentionShape&, const Visible&,
                            const kernels::Qkv<const T>&, const kernels::AttentionResult<T, T>&,
                            std::byte* workspace);
template <class T>
std::string cudnn_attention_backward(Cuda, const AttentionShape&, const Visible&,
                                     const kernels::AttentionGradient<T, T>&, std::byte* workspace);

// Bytes that a call of this shape works in, 0 if cuDNN takes none. Plans are made here, once for a
// shape: rehearse before a stream is captured.
std::size_t cudnn_attention_workspace(DType, const AttentionShape&);
std::size_t cudnn_attention_backward_workspace(DType, const AttentionShape&, std::int64_t keys);

}  // namespace fusor::ops
