#include <cmath>

#include "ops/cuda_map.h"
#include "ops/dropout_kernels.h"

namespace fusor::ops::kernels {
namespace {

// words[k] = random_bits(key, first + k); first is a multiple of N, a power of two.
template <int N>
__device__ void draw(RandomKey key, std::int64_t first, std::uint32_t (&words)[N]) {
  const std::uint64_t counter = static_cast<std::uint64_t>(first) / 4;
  if constexpr (N < 4) {
    const auto drawn = philox(key, counter);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const bool odd = (first + k) & 1, high = first & 2;
      words[k] = high ? (odd ? drawn[3] : drawn[2]) : (odd ? drawn[1] : drawn[0]);
    }
  } else {
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      const auto drawn = philox(key, counter + k / 4);
      words[k] = drawn[0], words[k + 1] = drawn[1];
      words[k + 2] = drawn[2], words[k + 3] = drawn[3];
    }
  }
}

template <class T>
struct Dropout {
  DropoutMask mask;
  std::uint32_t limit;  // a word's upper 24 bits that are less are dropped
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
    draw(key, mask.map.global_row(r) * mask.cols + c, words);
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
  // uniform() < p as integers: both sides times 2^24 are exact.
  const auto limit = static_cast<std::uint32_t>(std::ceil(static_cast<float>(mask.p) * 0x1p24f));
  const auto scale = static_cast<acc_t<T>>(1 / (1 - mask.p));
  cuda::for_rows<N>(on, n / mask.cols, mask.cols, cuda::hold_vectors<N>(base ? base : x, x, y),
                    Dropout<T>{mask, limit, scale, base, x, y});
}

template void dropout(Cuda, std::int64_t, const double*, const double*, const DropoutMask&,
                      double*);
template void dropout(Cuda, std::int64_t, const float*, const float*, const DropoutMask&, float*);
template void dropout(Cuda, std::int64_t, const bf16*, const bf16*, const DropoutMask&, bf16*);

}  // namespace fusor::ops::kernels
