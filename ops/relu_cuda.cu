#include "ops/cuda_map.h"
#include "ops/relu_kernels.h"

namespace fusor::ops::kernels {
namespace {

struct Relu {
  template <class A>
  __device__ A operator()(A x) const {
    return x < 0 ? A(0) : x;
  }
};
struct ReluBackward {
  template <class A>
  __device__ A operator()(A dy, A y) const {
    return y > 0 ? dy : A(0);
  }
};

}  // namespace

template <class T>
void relu(Cuda on, std::int64_t n, const T* x, T* y) {
  cuda::map(on, n, Relu(), y, x);
}

template <class T>
void relu_backward(Cuda on, std::int64_t n, const T* dy, const T* y, T* dx, bool add) {
  cuda::map_into(on, n, add, ReluBackward(), dx, dy, y);
}

#define FUSOR_RELU(T)                                   \
  template void relu(Cuda, std::int64_t, const T*, T*); \
  template void relu_backward(Cuda, std::int64_t, const T*, const T*, T*, bool);
FUSOR_RELU(double)
FUSOR_RELU(float)
FUSOR_RELU(bf16)
FUSOR_RELU(f16)
#undef FUSOR_RELU

}  // namespace fusor::ops::kernels
