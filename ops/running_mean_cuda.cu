#include "ops/cuda_arrays.h"
#include "ops/running_mean_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    follow_kernel(const cuda::ArrayList<RunningMeanArrays<T>> list, const double* grad_scale) {
  if (*grad_scale == 0) return;
  for (int b = static_cast<int>(blockIdx.x); b < list.first[list.count];
       b += static_cast<int>(gridDim.x)) {
    const cuda::ArrayBlock<RunningMeanArrays<T>> part(list, b);
    const RunningMeanArrays<T>& a = part.array;
    for (std::int64_t i = part.begin + threadIdx.x; i < part.end; i += kThreads) {
      a.master[i] = a.keep * a.master[i] + a.share * a.sum[i];
      cuda::store(a.value[i], a.master[i]);
    }
  }
}

}  // namespace

template <class T>
void follow_means(Cuda on, std::span<const RunningMeanArrays<T>> arrays, const double* grad_scale) {
  cuda::for_lists(arrays, [&](const auto& list, std::int64_t blocks) {
    cuda::run(on, {.blocks = cuda::loop_blocks(blocks, 1), .threads = kThreads}, follow_kernel<T>,
              list, grad_scale);
  });
}

template void follow_means(Cuda, std::span<const RunningMeanArrays<double>>, const double*);
template void follow_means(Cuda, std::span<const RunningMeanArrays<float>>, const double*);
template void follow_means(Cuda, std::span<const RunningMeanArrays<bf16>>, const double*);
template void follow_means(Cuda, std::span<const RunningMeanArrays<f16>>, const double*);

}  // namespace fusor::ops::kernels
