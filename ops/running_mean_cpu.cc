#include "ops/cpu.h"
#include "ops/running_mean_kernels.h"

namespace fusor::ops::kernels {

// A few thousand elements in all: no work to share out.
template <class T>
void follow_means(Cpu, std::span<const RunningMeanArrays<T>> arrays, const double* grad_scale) {
  if (*grad_scale == 0) return;
  for (const auto& [value, master, sum, size, keep, share] : arrays)
    for (std::int64_t i = 0; i < size; ++i) {
      master[i] = keep * master[i] + share * sum[i];
      cpu::store(value[i], master[i]);
    }
}

template void follow_means(Cpu, std::span<const RunningMeanArrays<double>>, const double*);
template void follow_means(Cpu, std::span<const RunningMeanArrays<float>>, const double*);
template void follow_means(Cpu, std::span<const RunningMeanArrays<bf16>>, const double*);
template void follow_means(Cpu, std::span<const RunningMeanArrays<f16>>, const double*);

}  // namespace fusor::ops::kernels
