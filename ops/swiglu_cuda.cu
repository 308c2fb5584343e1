#include "ops/cuda_map.h"
#include "ops/cuda_math.h"
#include "ops/swiglu_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Swiglu {
  std::int64_t cols;
  const T* x;
  T* y;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const T* gate = x + r * 2 * cols + c;
    const auto g = cuda::load<N>(gate), up = cuda::load<N>(gate + cols);
    cuda::Vector<acc_t<T>, N> to;
#pragma unroll
    for (int k = 0; k < N; ++k) to.at[k] = g.at[k] * cuda::sigmoid(g.at[k]) * up.at[k];
    cuda::store<N>(y + r * cols + c, to);
  }
};

template <class T>
struct SwigluBackward {
  std::int64_t cols;
  const T *dy, *x;
  T* dx;
  bool add;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const T* gate = x + r * 2 * cols + c;
    T* to = dx + r * 2 * cols + c;
    const auto g = cuda::load<N>(gate), up = cuda::load<N>(gate + cols),
               d = cuda::load<N>(dy + r * cols + c);
    cuda::Vector<acc_t<T>, N> dgate, dup;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const acc_t<T> s = cuda::sigmoid(g.at[k]);
      dgate.at[k] = d.at[k] * up.at[k] * s * (1 + g.at[k] * (1 - s));
      dup.at[k] = d.at[k] * g.at[k] * s;
    }
    cuda::put<N>(add, to, dgate);
    cuda::put<N>(add, to + cols, dup);
  }
};

}  // namespace

template <class T>
void swiglu(Cuda on, std::int64_t rows, std::int64_t cols, const T* x, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, rows, cols, cuda::hold_vectors<N>(x, y), Swiglu<T>{cols, x, y});
}

template <class T>
void swiglu_backward(Cuda on, std::int64_t rows, std::int64_t cols, const T* dy, const T* x, T* dx,
                     bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, rows, cols, cuda::hold_vectors<N>(dy, x, dx),
                    SwigluBackward<T>{cols, dy, x, dx, add});
}

#define FUSOR_SWIGLU(T)                                                 \
  template void swiglu(Cuda, std::int64_t, std::int64_t, const T*, T*); \
  template void swiglu_backward(Cuda, std::int64_t, std::int64_t, const T*, const T*, T*, bool);
FUSOR_SWIGLU(double)
FUSOR_SWIGLU(float)
FUSOR_SWIGLU(bf16)
FUSOR_SWIGLU(f16)
#undef FUSOR_SWIGLU

}  // namespace fusor::ops::kernels
