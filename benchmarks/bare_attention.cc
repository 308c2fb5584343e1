#include "benchmarks/bare_attention.h"

#include "ops/attention_cudnn_graph.h"
#include "ops/cudnn.h"
#include "ops/fill.h"
#include "runtime/cuda_devices.h"

namespace fusor::benchmark {
namespace {

using ops::AttentionGraph;
using ops::AttentionPass;

struct Plans {
  AttentionShape s;
  AttentionGraph forward, backward;

  static std::shared_ptr<Plans> of(const AttentionShape& s) {
    const CudaDevices::Gpu& gpu = cuda_devices().gpus.at(0);
    const ops::CudnnSetup on{ops::cudnn().version, 10 * gpu.major + gpu.minor};
    for (const auto pass : {AttentionPass::forward, AttentionPass::backward}) {
      const std::string reason = cudnn_refuses(on, s, pass);
      require(reason.empty(), reason);
    }
    const auto plan = [&](AttentionPass pass) {
      return AttentionGraph(ops::cudnn_handle(nullptr), on, DType::bf16, s, pass);
    };
    return std::make_shared<Plans>(
        Plans{s, plan(AttentionPass::forward), plan(AttentionPass::backward)});
  }
};

struct Operands {
  Tensor qkv, y, log_sum_exp, dy, dqkv, workspace;

  Operands(const Plans& plans, const Device& device) {
    const AttentionShape& s = plans.s;
    const auto of = [&](std::int64_t heads) {
      const Tensor t({s.batch * s.seq_len, heads * s.head_dim}, DType::bf16, device);
      ops::fill_normal(t, 0.5, random_key(1, "library_bench"));
      return t;
    };
    qkv = of(s.heads + 2 * s.kv_heads), dqkv = of(s.heads + 2 * s.kv_heads);
    y = of(s.heads), dy = of(s.heads);
    log_sum_exp = Tensor({s.batch, s.heads, s.seq_len}, DType::f32, device);
    const std::size_t bytes = std::max(plans.forward.workspace(), plans.backward.workspace());
    workspace = Tensor({static_cast<std::int64_t>(bytes) + kAligned}, DType::u8, device);
  }
  std::byte* aligned_workspace() const {
    void* first = workspace.raw();
    std::size_t room = workspace.bytes();
    return static_cast<std::byte*>(std::align(kAligned, 1, first, room));
  }

 private:
  static constexpr std::int64_t kAligned = 256;
};

void* element(const Tensor& t, std::int64_t at) {
  return t.raw() + at * static_cast<std::int64_t>(size_of(t.dtype()));
}

void run(const AttentionShape& s, const AttentionGraph& graph, const Operands& o,
         cudaStream_t stream) {
  const cudnnHandle_t handle = ops::cudnn_handle(stream);
  const std::int64_t group = s.heads / s.kv_heads, d = s.head_dim;
  for (std::int64_t b = 0; b < s.batch; b += graph.part().sequences)
    for (std::int64_t h = 0; h < s.kv_heads; h += graph.part().kv_heads) {
      const std::int64_t row = b * s.seq_len, qkv = row * o.qkv.dim(1), q = h * group * d,
                         k = (s.heads + h) * d, v = k + s.kv_heads * d, y = row * o.y.dim(1) + q,
                         sums = (b * s.heads + h * group) * s.seq_len;
      graph.run(handle,
                {element(o.qkv, qkv + q), element(o.qkv, qkv + k), element(o.qkv, qkv + v),
                 element(o.y, y), element(o.log_sum_exp, sums), element(o.dy, y),
                 element(o.dqkv, qkv + q), element(o.dqkv, qkv + k), element(o.dqkv, qkv + v)},
                o.aligned_workspace());
    }
}

std::vector<Work> make(const std::shared_ptr<Plans>& plans, const Device& device) {
  const auto o = std::make_shared<Operands>(*plans, device);
  const auto by_fusor = [=](bool backward) {
    Tape tape;
    const Var y = attention(Var::input(o->qkv, backward ? &tape : nullptr, true), plans->s);
    if (backward) tape.backward(y, o->dy);
  };
  const auto bare = [=](bool backward) {
    launch(device, "bare", {}, [&](auto on) {
      if constexpr (std::is_same_v<decltype(on), Cuda>) {
        run(plans->s, plans->forward, *o, on.stream);
        if (backward) run(plans->s, plans->backward, *o, on.stream);
      }
    });
  };
  return {[=] { by_fusor(false); }, [=] { bare(false); }, [=] { by_fusor(true); },
          [=] { bare(true); }};
}

}  // namespace

DeviceWork attention_and_bare(const AttentionShape& s, int times) {
  const auto plans = Plans::of(s);
  return DeviceWork([&](const Device& device) { return make(plans, device); }, {.gpu = 0}, times);
}

}  // namespace fusor::benchmark
