#include "ops/cuda_map.h"
#include "ops/swap_blocks_kernels.h"

namespace fusor::ops::kernels {
namespace {

// Row i of y [b * a, block] is row i / a of the i % a-th of the a in x.
template <class T>
struct SwapBlocks {
  std::int64_t a, b, block;
  const T* x;
  T* y;
  bool add;

  template <int N>
  __device__ void at(std::int64_t i, std::int64_t c) const {
    const std::int64_t from = i % a * b + i / a;
    cuda::put<N>(add, y + i * block + c, cuda::load<N>(x + from * block + c));
  }
};

}  // namespace

template <class T>
void swap_blocks(Cuda on, std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                 bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, a * b, block, cuda::hold_vectors<N>(x, y),
                    SwapBlocks<T>{a, b, block, x, y, add});
}

template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const double*, double*,
                          bool);
template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const float*, float*,
                          bool);
template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const bf16*, bf16*, bool);
template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const f16*, f16*, bool);

}  // namespace fusor::ops::kernels
