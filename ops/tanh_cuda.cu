#include "ops/cuda_map.h"
#include "ops/tanh_kernels.h"

namespace fusor::ops::kernels {
namespace {

struct Tanh {
  __device__ float operator()(float x) const { return ::tanhf(x); }
  __device__ double operator()(double x) const { return ::tanh(x); }
};
struct TanhBackward {
  template <class A>
  __device__ A operator()(A dy, A y) const {
    return dy * (1 - y * y);
  }
};

}  // namespace

template <class T>
void tanh(Cuda on, std::int64_t n, const T* x, T* y) {
  cuda::map(on, n, Tanh(), y, x);
}

template <class T>
void tanh_backward(Cuda on, std::int64_t n, const T* dy, const T* y, T* dx, bool add) {
  cuda::map_into(on, n, add, TanhBackward(), dx, dy, y);
}

#define FUSOR_TANH(T)                                   \
  template void tanh(Cuda, std::int64_t, const T*, T*); \
  template void tanh_backward(Cuda, std::int64_t, const T*, const T*, T*, bool);
FUSOR_TANH(double)
FUSOR_TANH(float)
FUSOR_TANH(bf16)
FUSOR_TANH(f16)
#undef FUSOR_TANH

}  // namespace fusor::ops::kernels
