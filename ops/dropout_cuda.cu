#include "ops/cuda_map.h"
#include "ops/cuda_random.h"
#include "ops/dropout_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Dropout {
  DropoutMask mask;
  std::uint32_t limit;  // see drop_limit
  acc_t<T> scale;
  const T *base, *x;
  T* y;
  RandomKey key{};

  // The key depends on a step in device memory: one thread of the block works it out.
  __device__ void start() {
    __shared__ std::uint64_t bits;
    if (threadIdx.x == 0) bits = mask.key().bits;
    __syncthreads();
    key.bits = bits;
  }

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    std::uint32_t words[N];
    cuda::draw(key, mask.map.global_row(r) * mask.cols + c, words);
    const std::int64_t at = r * mask.cols + c;
    cuda::Vector<acc_t<T>, N> to{};
    if (base) to = cuda::load<N>(base + at);
    const auto from = cuda::load<N>(x + at);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const acc_t<T> kept = words[k] >> 8 >= limit ? from.at[k] * scale : 0;
      to.at[k] = base ? to.at[k] + kept : kept;
    }
    cuda::store<N>(y + at, to);
  }
};

}  // namespace

template <class T>
void dropout(Cuda on, std::int64_t n, const T* base, const T* x, const DropoutMask& mask, T* y) {
  constexpr int N = cuda::kVector<T>;
  if (n == 0) return;
  const std::uint32_t limit = cuda::drop_limit(mask.p);
  const auto scale = static_cast<acc_t<T>>(1 / (1 - mask.p));
  cuda::for_rows<N>(on, n / mask.cols, mask.cols, cuda::hold_vectors<N>(base ? base : x, x, y),
                    Dropout<T>{mask, limit, scale, base, x, y});
}

template void dropout(Cuda, std::int64_t, const double*, const double*, const DropoutMask&,
                      double*);
template void dropout(Cuda, std::int64_t, const float*, const float*, const DropoutMask&, float*);
template void dropout(Cuda, std::int64_t, const bf16*, const bf16*, const DropoutMask&, bf16*);
template void dropout(Cuda, std::int64_t, const f16*, const f16*, const DropoutMask&, f16*);

}  // namespace fusor::ops::kernels
