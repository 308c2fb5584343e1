#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "ops/attention_kernels.h"

// Which attention is cuDNN's, and what it works in: functions of values, so that no GPU is needed
// to test them.
namespace fusor::ops {

enum class AttentionPass : std::uint8_t { forward, backward };

struct CudnnSetup {
  int version;     // as cuDNN counts: 91900 is 9.19.0
  int capability;  // of the GPU, 90 is 9.0
};

// Why no call is for cuDNN; empty if some are.
std::string cudnn_refuses(const CudnnSetup&);

// Why calls of this shape are not for cuDNN; empty if they are. Where kv_seq_len is given, queries
// and keys lie in two tensors as for cross_attention().
std::string cudnn_refuses(const CudnnSetup&, const AttentionShape&, AttentionPass);

// Why a call is not for cuDNN, by all that its shape does not tell.
template <class T>
std::string cudnn_refuses(const AttentionShape&, const Visible&, const kernels::Qkv<const T>&,
                          const kernels::AttentionResult<T, T>&);
template <class T>
std::string cudnn_refuses(const AttentionShape&, const Visible&,
                          const kernels::AttentionGradient<T, T>&);

// Backward with the same bits each run stores the gradient of the scores, [sequences, heads,
// seq_len, keys], on GPUs before 10.0. So a call is cut into parts that cuDNN does in turn.
struct AttentionPart {
  std::int64_t sequences, kv_heads;  // divisors of those of the shape; all kv_heads or one sequence
};
AttentionPart cudnn_part(const CudnnSetup&, const AttentionShape&, AttentionPass);

// The bytes that cuDNN 9.19 asks for on a GPU of compute capability 9.0: what a rehearsal counts
// with where it cannot ask.
std::size_t estimated_cudnn_workspace(const AttentionShape&, AttentionPass);

}  // namespace fusor::ops
