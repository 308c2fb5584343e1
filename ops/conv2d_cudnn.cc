#include "ops/conv2d_cudnn.h"

#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "ops/add_kernels.h"
#include "ops/conv2d_cudnn_graph.h"
#include "ops/cudnn.h"
#include "runtime/cuda.h"
#include "runtime/cuda_devices.h"

namespace fusor::ops {
namespace {

using kernels::Conv2dCall;
using kernels::Conv2dOperands;
using kernels::Conv2dPass;

constexpr std::size_t kAligned = 256;  // as all memory of cudaMalloc is
constexpr std::size_t kOperand = 16;   // as cuDNN takes tensors to be

std::size_t rounded_up(std::size_t bytes) { return (bytes + kAligned - 1) / kAligned * kAligned; }

// The outcome of asking cuDNN for a plan.
struct Planned {
  std::optional<Conv2dGraph> graph{};
  std::string refused{};  // empty if there is a graph
};

// Without cuDNN, or where it has no such kernel, the own kernels do: errors are reasons.
Planned plan(int gpu, const Conv2dCall& call) {
  Planned planned;
  try {
    require(call.dtype != DType::f64, "cuDNN does not convolve in f64");
    const CudaDevices::Gpu& kind = cuda_devices().gpus.at(static_cast<std::size_t>(gpu));
    const CudnnSetup on{cudnn().version, 10 * kind.major + kind.minor};
    planned.refused = cudnn_refuses(on);
    if (planned.refused.empty()) planned.graph.emplace(cudnn_handle(nullptr), on, call);
  } catch (const std::exception& error) {
    planned.refused = error.what();
  }
  return planned;
}

// Plans of this thread, each asked for once. To what c holds is added apart.
const Planned& planned(Conv2dCall call) {
  thread_local std::map<std::pair<int, Conv2dCall>, Planned> plans;
  call.add = false;
  int gpu = 0;
  check_cuda(cudaGetDevice(&gpu), "cudaGetDevice");
  const std::pair key(gpu, call);
  if (const auto found = plans.find(key); found != plans.end()) return found->second;
  return plans.emplace(key, plan(gpu, call)).first->second;
}

// Elements of c.
std::int64_t size_of_result(const Conv2dCall& call) {
  const kernels::Conv2dShape& s = call.shape;
  if (call.pass == Conv2dPass::forward) return s.pixels() * s.k;
  if (call.pass == Conv2dPass::data) return s.n * s.h * s.w * s.c;
  return s.k * s.r * s.s * s.group_c();
}
DType dtype_of_result(const Conv2dCall& call) {
  return call.pass == Conv2dPass::weights ? acc_dtype(call.dtype) : call.dtype;
}

bool is_aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % kOperand == 0; }

}  // namespace

std::string cudnn_conv2d(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  const Planned& p = planned(call);
  if (!p.graph) return p.refused;
  if (!is_aligned(o.a) || !is_aligned(o.b) || !is_aligned(o.c) || !is_aligned(o.bias))
    return "an operand is not aligned to 16 bytes";
  void* first = o.workspace;
  std::size_t room = kAligned;
  auto* const workspace = static_cast<std::byte*>(std::align(kAligned, 1, first, room));
  std::byte* const c = call.add ? workspace + rounded_up(p.graph->workspace()) : o.c;
  const auto pointer = [](const std::byte* x) { return const_cast<std::byte*>(x); };
  p.graph->run(cudnn_handle(on.stream), {pointer(o.a), pointer(o.b), c, pointer(o.bias)},
               workspace);
  if (call.add)
    on_float(dtype_of_result(call), [&]<class T> {
      kernels::add_into(on, size_of_result(call), reinterpret_cast<const T*>(c),
                        reinterpret_cast<T*>(o.c), true);
    });
  return "";
}

std::size_t cudnn_conv2d_workspace(const Conv2dCall& call) {
  if (!cuda_devices().why_none.empty()) return 0;
  const Planned& p = planned(call);
  if (!p.graph) return 0;
  const std::size_t staged =
      call.add ? static_cast<std::size_t>(size_of_result(call)) * size_of(dtype_of_result(call))
               : 0;
  return kAligned + rounded_up(p.graph->workspace()) + staged;
}

}  // namespace fusor::ops
