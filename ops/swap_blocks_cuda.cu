#include "ops/cuda.h"
#include "ops/swap_blocks_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
__global__ void swap_kernel(std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                            bool add) {
  const std::int64_t n = a * b * block;
  for (std::int64_t i = cuda::first_round(); i < n; i += cuda::rounds_at_once()) {
    const std::int64_t in = i % block, row = i / block % a, column = i / block / a;
    cuda::put(add, y[i], cuda::load(x[(row * b + column) * block + in]));
  }
}

}  // namespace

template <class T>
void swap_blocks(Cuda on, std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                 bool add) {
  constexpr int kThreads = 256;
  cuda::run(on, {.blocks = cuda::loop_blocks(a * b * block, kThreads), .threads = kThreads},
            swap_kernel<T>, a, b, block, x, y, add);
}

template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const double*, double*,
                          bool);
template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const float*, float*,
                          bool);
template void swap_blocks(Cuda, std::int64_t, std::int64_t, std::int64_t, const bf16*, bf16*, bool);

}  // namespace fusor::ops::kernels
