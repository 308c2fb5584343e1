#include "ops/adamw_kernels.h"
#include "ops/cuda_arrays.h"
#include "ops/cuda_map.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 256;

// The constants of an update, as the CPU computes them.
template <class A>
struct Update {
  double lr;
  A scale, beta2, new1, new2, rate, eps, root2;

  __device__ Update(const AdamW& f, const AdamWFactors& factors)
      : lr(factors.rates[0]),
        scale(static_cast<A>(*factors.grad_scale)),
        beta2(static_cast<A>(f.beta2)),
        new1(static_cast<A>(1 - f.beta1)),
        new2(static_cast<A>(1 - f.beta2)),
        rate(static_cast<A>(lr / factors.rates[1])),
        eps(static_cast<A>(f.eps)),
        root2(static_cast<A>(1 / sqrt(factors.rates[2]))) {}

  // keep = 1 - lr decay
  __device__ void operator()(A keep, A grad, A& master, A& m, A& v) const {
    const A g = grad * scale;
    m += new1 * (g - m);
    v = beta2 * v + new2 * g * g;
    master = master * keep - rate * m / (sqrt(v) * root2 + eps);
  }
};

// Elements [begin, end) of one weight, by vectors of N as far as they go.
template <int N, class T>
__device__ std::int64_t update(const Update<acc_t<T>>& f, const AdamWArrays<T>& a,
                               std::int64_t begin, std::int64_t end) {
  using A = acc_t<T>;
  const auto keep = static_cast<A>(1 - f.lr * a.decay);
  const std::int64_t vectors = (end - begin) / N;
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
    const std::int64_t at = begin + i * N;
    const auto grad = cuda::read<N>(a.grad + at);
    auto master = cuda::read<N>(a.master + at), m = cuda::read<N>(a.m + at),
         v = cuda::read<N>(a.v + at);
#pragma unroll
    for (int k = 0; k < N; ++k) f(keep, grad.at[k], master.at[k], m.at[k], v.at[k]);
    cuda::write(a.m + at, m);
    cuda::write(a.v + at, v);
    cuda::write(a.master + at, master);
    cuda::store<N>(a.weight + at, master);
  }
  return begin + vectors * N;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    adamw_kernel(const cuda::ArrayList<AdamWArrays<T>> list, AdamW settings, AdamWFactors factors) {
  using A = acc_t<T>;
  constexpr int N = cuda::kVector<A>;
  if (*factors.grad_scale == 0) return;
  const Update<A> f(settings, factors);
  for (int b = static_cast<int>(blockIdx.x); b < list.first[list.count];
       b += static_cast<int>(gridDim.x)) {
    const cuda::ArrayBlock<AdamWArrays<T>> part(list, b);
    const AdamWArrays<T>& a = part.array;
    const bool vectors = cuda::hold<N>(a.weight) && cuda::hold<N>(a.master) && cuda::hold<N>(a.m) &&
                         cuda::hold<N>(a.v) && cuda::hold<N>(a.grad);
    std::int64_t begin = part.begin;
    if (vectors) begin = update<N>(f, a, begin, part.end);
    update<1>(f, a, begin, part.end);
  }
}

}  // namespace

template <class T>
void adamw(Cuda on, std::span<const AdamWArrays<T>> arrays, const AdamW& settings,
           const AdamWFactors& factors) {
  cuda::for_lists(arrays, [&](const auto& list, std::int64_t blocks) {
    cuda::run(on, {.blocks = cuda::loop_blocks(blocks, 1), .threads = kThreads}, adamw_kernel<T>,
              list, settings, factors);
  });
}

#define FUSOR_ADAMW(T) \
  template void adamw(Cuda, std::span<const AdamWArrays<T>>, const AdamW&, const AdamWFactors&);
FUSOR_ADAMW(double)
FUSOR_ADAMW(float)
FUSOR_ADAMW(bf16)
FUSOR_ADAMW(f16)
#undef FUSOR_ADAMW

}  // namespace fusor::ops::kernels
