#include "ops/cuda_map.h"
#include "ops/cuda_random.h"
#include "ops/drop_path_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct DropPath {
  PathMask mask;
  std::int64_t cols;
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
    const std::uint32_t word = random_bits(key, static_cast<std::uint64_t>(mask.map.sample(r)));
    const acc_t<T> factor = word >> 8 >= limit ? scale : acc_t<T>(0);
    const std::int64_t at = r * cols + c;
    cuda::Vector<acc_t<T>, N> to{};
    if (base) to = cuda::load<N>(base + at);
    const auto from = cuda::load<N>(x + at);
#pragma unroll
    for (int k = 0; k < N; ++k) to.at[k] += factor * from.at[k];
    cuda::store<N>(y + at, to);
  }
};

}  // namespace

template <class T>
void drop_path(Cuda on, std::int64_t rows, std::int64_t cols, const T* base, const T* x,
               const PathMask& mask, T* y) {
  constexpr int N = cuda::kVector<T>;
  const auto scale = static_cast<acc_t<T>>(1 / (1 - mask.p));
  cuda::for_rows<N>(on, rows, cols, cuda::hold_vectors<N>(base ? base : x, x, y),
                    DropPath<T>{mask, cols, cuda::drop_limit(mask.p), scale, base, x, y});
}

#define FUSOR_DROP_PATH(T)                                                                       \
  template void drop_path(Cuda, std::int64_t, std::int64_t, const T*, const T*, const PathMask&, \
                          T*);
FUSOR_DROP_PATH(double)
FUSOR_DROP_PATH(float)
FUSOR_DROP_PATH(bf16)
FUSOR_DROP_PATH(f16)
#undef FUSOR_DROP_PATH

}  // namespace fusor::ops::kernels
