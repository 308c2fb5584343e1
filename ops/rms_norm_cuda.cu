#include "ops/cuda_norm_backward.h"
#include "ops/rms_norm_kernels.h"

namespace fusor::ops::kernels {

template <class T, class A>
void rms_norm(Cuda on, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
              T* y, A* inv_rms) {
  const cuda::NormTask<T, cuda::Given<T>> task{eps, {x}, gain, nullptr, y, nullptr, inv_rms};
  cuda::run_norm<false>(on, rows, cols, cuda::rows_aligned<T>(cols, x, gain, y), task);
}

template <class T, class A>
void rms_norm_backward(Cuda on, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                       const T* gain, const A* inv_rms, T* dx, bool add, A* dgain) {
  cuda::run_norm_backward<false, T>(on, rows, cols,
                                    {dy, x, gain, nullptr, inv_rms, dx, add, dgain, nullptr, 0});
}

#define FUSOR_RMS_NORM(T, A)                                                                      \
  template void rms_norm(Cuda, std::int64_t, std::int64_t, double, const T*, const T*, T*, A*);   \
  template void rms_norm_backward(Cuda, std::int64_t, std::int64_t, const T*, const T*, const T*, \
                                  const A*, T*, bool, A*);
FUSOR_RMS_NORM(double, double)
FUSOR_RMS_NORM(float, float)
FUSOR_RMS_NORM(bf16, float)
FUSOR_RMS_NORM(f16, float)
#undef FUSOR_RMS_NORM

}  // namespace fusor::ops::kernels
