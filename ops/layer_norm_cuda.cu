#include "ops/cuda_norm_backward.h"
#include "ops/layer_norm_kernels.h"

namespace fusor::ops::kernels {

template <class T, class A>
void layer_norm(Cuda on, std::int64_t rows, std::int64_t cols, double eps, const T* x,
                const T* gain, const T* bias, T* y, A* mean, A* rstd) {
  const cuda::NormTask<T, cuda::Given<T>> task{eps, {x}, gain, bias, y, mean, rstd};
  cuda::run_norm<true>(on, rows, cols, cuda::rows_aligned<T>(cols, x, gain, bias, y), task);
}

template <class T, class A>
void layer_norm_backward(Cuda on, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                         const T* gain, const A* mean, const A* rstd, T* dx, bool add, A* dgain,
                         A* dbias) {
  cuda::run_norm_backward<true, T>(on, rows, cols,
                                   {dy, x, gain, mean, rstd, dx, add, dgain, dbias, 0});
}

#define FUSOR_LAYER_NORM(T, A)                                                                     \
  template void layer_norm(Cuda, std::int64_t, std::int64_t, double, const T*, const T*, const T*, \
                           T*, A*, A*);                                                            \
  template void layer_norm_backward(Cuda, std::int64_t, std::int64_t, const T*, const T*,          \
                                    const T*, const A*, const A*, T*, bool, A*, A*);
FUSOR_LAYER_NORM(double, double)
FUSOR_LAYER_NORM(float, float)
FUSOR_LAYER_NORM(bf16, float)
FUSOR_LAYER_NORM(f16, float)
#undef FUSOR_LAYER_NORM

}  // namespace fusor::ops::kernels
