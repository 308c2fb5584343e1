#pragma once
#include "ops/cuda.h"

namespace fusor::ops::cuda {

template <class A>
__global__ void __launch_bounds__(1024) total_kernel(std::int64_t n, const A* x, A* to) {
  A sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *to = sum;
}

// to = the sum of x [n], by one block, so that the order is fixed.
template <class A>
void total(Cuda on, std::int64_t n, const A* x, A* to) {
  run(on, {.blocks = 1, .threads = 1024}, total_kernel<A>, n, x, to);
}

}  // namespace fusor::ops::cuda
