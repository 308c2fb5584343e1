#include "ops/cuda_map.h"
#include "ops/cuda_math.h"
#include "ops/gelu_kernels.h"

namespace fusor::ops::kernels {
namespace {

struct Gelu {
  template <class A>
  __device__ A operator()(A x) const {
    return cuda::gelu(x);
  }
};
struct GeluBackward {
  template <class A>
  __device__ A operator()(A dy, A x) const {
    return dy * cuda::dgelu(x);
  }
};
struct ErfGelu {
  template <class A>
  __device__ A operator()(A x) const {
    return cuda::erf_gelu(x);
  }
};
struct ErfGeluBackward {
  template <class A>
  __device__ A operator()(A dy, A x) const {
    return dy * cuda::derf_gelu(x);
  }
};

}  // namespace

template <class T>
void gelu(Cuda on, std::int64_t n, const T* x, T* y, GeluForm form) {
  if (form == GeluForm::erf)
    cuda::map(on, n, ErfGelu(), y, x);
  else
    cuda::map(on, n, Gelu(), y, x);
}

template <class T>
void gelu_backward(Cuda on, std::int64_t n, const T* dy, const T* x, T* dx, bool add,
                   GeluForm form) {
  if (form == GeluForm::erf)
    cuda::map_into(on, n, add, ErfGeluBackward(), dx, dy, x);
  else
    cuda::map_into(on, n, add, GeluBackward(), dx, dy, x);
}

#define FUSOR_GELU(T)                                             \
  template void gelu(Cuda, std::int64_t, const T*, T*, GeluForm); \
  template void gelu_backward(Cuda, std::int64_t, const T*, const T*, T*, bool, GeluForm);
FUSOR_GELU(double)
FUSOR_GELU(float)
FUSOR_GELU(bf16)
FUSOR_GELU(f16)
#undef FUSOR_GELU

}  // namespace fusor::ops::kernels
