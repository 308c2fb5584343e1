#include "ops/attention_cudnn.h"

#include <array>
#include <exception>
#include <map>
#include <memory>
#include <optional>

#include "ops/attention_cudnn_graph.h"
#include "ops/cudnn.h"
#include "runtime/cuda.h"
#include "runtime/cuda_devices.h"

namespace fusor::ops {
namespace {

using kernels::Heads;

// The outcome of asking cuDNN for a plan.
struct Planned {
  std::optional<AttentionGraph> graph;
  std::string refused;  // empty if there is a graph
};

int current_gpu() {
  int gpu = 0;
  check_cuda(cudaGetDevice(&gpu), "cudaGetDevice");
  return gpu;
}

CudnnSetup setup_of(int gpu) {
  const CudaDevices::Gpu& kind = cuda_devices().gpus.at(static_cast<std::size_t>(gpu));
  return {cudnn().version, 10 * kind.major + kind.minor};
}

// Without cuDNN, or where it has no such kernel, the own kernels do: errors are reasons.
Planned plan(int gpu, DType dtype, const AttentionShape& s, AttentionPass pass) {
  Planned planned;
  try {
    const CudnnSetup on = setup_of(gpu);
    planned.refused = cudnn_refuses(on, s, pass);
    if (planned.refused.empty()) planned.graph.emplace(cudnn_handle(nullptr), on, dtype, s, pass);
  } catch (const std::exception& error) {
    planned.refused = error.what();
  }
  return planned;
}

// Plans of this thread, each asked for once.
const Planned& planned(DType dtype, const AttentionShape& s, AttentionPass pass) {
  using Key = std::array<std::int64_t, 10>;
  thread_local std::map<Key, Planned> plans;
  const int gpu = current_gpu();
  const Key key{gpu,
                static_cast<std::int64_t>(dtype),
                static_cast<std::int64_t>(pass),
                s.batch,
                s.seq_len,
                s.heads,
                s.kv_heads,
                s.head_dim,
                s.causal,
                s.kv_seq_len};
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(key, plan(gpu, dtype, s, pass)).first->second;
}

std::size_t log_sum_exp_bytes(const AttentionShape& s) {
  return static_cast<std::size_t>(s.batch * s.heads * s.seq_len) * sizeof(float);
}

constexpr std::size_t kAligned = 256;  // as all memory of cudaMalloc is

std::size_t with_room(std::size_t bytes) { return bytes == 0 ? 0 : bytes + kAligned; }

// The first aligned byte of a workspace of with_room() bytes.
std::byte* aligned(std::byte* workspace) {
  void* first = workspace;
  std::size_t room = kAligned;
  return static_cast<std::byte*>(std::align(kAligned, 1, first, room));
}

// Where forward's own workspace ends, and the log-sum-exp stands that nobody asked for.
std::size_t forward_bytes(const AttentionGraph& graph) {
  return (graph.workspace() + kAligned - 1) / kAligned * kAligned;
}

// f(b, h): for each part of the batch, the first sequence and key head.
template <class F>
void for_parts(const AttentionShape& s, const AttentionPart& part, F&& f) {
  for (std::int64_t b = 0; b < s.batch; b += part.sequences)
    for (std::int64_t h = 0; h < s.kv_heads; h += part.kv_heads) f(b, h);
}

template <class T>
void* at(const Heads<T>& x, std::int64_t b, std::int64_t h) {
  return const_cast<std::remove_const_t<T>*>(x.at(b, 0, h));
}

}  // namespace

std::string why_no_cudnn() {
  try {
    std::string reason = cudnn_refuses(setup_of(current_gpu()));
    if (reason.empty()) cudnn_handle(nullptr);
    return reason;
  } catch (const std::exception& error) {
    return error.what();
  }
}

template <class T>
std::string cudnn_attention(Cuda on, const AttentionShape& s, const Visible& visible,
                            const kernels::Qkv<const T>& in,
                            const kernels::AttentionResult<T, T>& to, std::byte* workspace) {
  if (std::string reason = cudnn_refuses(s, visible, in, to); !reason.empty()) return reason;
  const Planned& p = planned(dtype_of<T>, s, AttentionPass::forward);
  if (!p.graph) return p.refused;
  workspace = aligned(workspace);
  Heads<float> log_sum_exp = to.log_sum_exp;
  if (!log_sum_exp.data)
    log_sum_exp = {reinterpret_cast<float*>(workspace + forward_bytes(*p.graph)), 1,
                   s.heads * s.seq_len, s.seq_len};
  const cudnnHandle_t handle = cudnn_handle(on.stream);
  for_parts(s, p.graph->part(), [&](std::int64_t b, std::int64_t h) {
    const std::int64_t q = h * s.heads / s.kv_heads;
    p.graph->run(
        handle,
        {at(in.q, b, q), at(in.k, b, h), at(in.v, b, h), at(to.y, b, q), at(log_sum_exp, b, q)},
        workspace);
  });
  return "";
}

template <class T>
std::string cudnn_attention_backward(Cuda on, const AttentionShape& s, const Visible& visible,
                                     const kernels::AttentionGradient<T, T>& g,
                                     std::byte* workspace) {
  if (std::string reason = cudnn_refuses(s, visible, g); !reason.empty()) return reason;
  const Planned& p = planned(dtype_of<T>, s, AttentionPass::backward);
  if (!p.graph) return p.refused;
  workspace = aligned(workspace);
  const cudnnHandle_t handle = cudnn_handle(on.stream);
  for_parts(s, p.graph->part(), [&](std::int64_t b, std::int64_t h) {
    const std::int64_t q = h * s.heads / s.kv_heads;
    p.graph->run(handle,
                 {at(g.qkv.q, b, q), at(g.qkv.k, b, h), at(g.qkv.v, b, h), at(g.y, b, q),
                  at(g.log_sum_exp, b, q), at(g.dy, b, q), at(g.dqkv.q, b, q), at(g.dqkv.k, b, h),
                  at(g.dqkv.v, b, h)},
                 workspace);
  });
  return "";
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

std::size_t cudnn_attention_workspace(DType dtype, const AttentionShape& s) {
  if (!cuda_devices().why_none.empty())
    return with_room(estimated_cudnn_workspace(s, AttentionPass::forward));
  const Planned& p = planned(dtype, s, AttentionPass::forward);
  return with_room(p.graph ? forward_bytes(*p.graph) + log_sum_exp_bytes(s) : 0);
}

std::size_t cudnn_attention_backward_workspace(DType dtype, const AttentionShape& s,
                                               std::int64_t keys) {
  if (keys != keys_of(s)) return 0;
  if (!cuda_devices().why_none.empty())
    return with_room(estimated_cudnn_workspace(s, AttentionPass::backward));
  const Planned& p = planned(dtype, s, AttentionPass::backward);
  return with_room(p.graph ? p.graph->workspace() : 0);
}

}  // namespace fusor::ops
