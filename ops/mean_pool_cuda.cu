#include "ops/cuda_map.h"
#include "ops/mean_pool_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Mean {
  PaddedRows p;
  const T* x;
  T* y;

  template <int N>
  __device__ void at(std::int64_t b, std::int64_t c) const {
    const std::int64_t length = p.length(b);
    cuda::Vector<acc_t<T>, N> sum{};
#pragma unroll 8
    for (std::int64_t t = 0; t < length; ++t) {
      const auto row = cuda::load<N>(x + (b * p.seq_len + t) * p.cols + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += row.at[k];
    }
    const acc_t<T> share = length > 0 ? 1 / static_cast<acc_t<T>>(length) : 0;
#pragma unroll
    for (int k = 0; k < N; ++k) sum.at[k] *= share;
    cuda::store<N>(y + b * p.cols + c, sum);
  }
};

template <class T>
struct MeanBackward {
  PaddedRows p;
  const T* dy;
  T* dx;
  bool add;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const std::int64_t b = r / p.seq_len, length = p.length(b);
    cuda::Vector<acc_t<T>, N> d{};
    if (r - b * p.seq_len < length) {
      const acc_t<T> share = 1 / static_cast<acc_t<T>>(length);
      d = cuda::load<N>(dy + b * p.cols + c);
#pragma unroll
      for (int k = 0; k < N; ++k) d.at[k] *= share;
    }
    cuda::put<N>(add, dx + r * p.cols + c, d);
  }
};

}  // namespace

template <class T>
void mean_pool(Cuda on, const PaddedRows& p, const T* x, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, p.batch, p.cols, cuda::hold_vectors<N>(x, y), Mean<T>{p, x, y});
}

template <class T>
void mean_pool_backward(Cuda on, const PaddedRows& p, const T* dy, T* dx, bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, p.batch * p.seq_len, p.cols, cuda::hold_vectors<N>(dy, dx),
                    MeanBackward<T>{p, dy, dx, add});
}

#define FUSOR_MEAN_POOL(T)                                        \
  template void mean_pool(Cuda, const PaddedRows&, const T*, T*); \
  template void mean_pool_backward(Cuda, const PaddedRows&, const T*, T*, bool);
FUSOR_MEAN_POOL(double)
FUSOR_MEAN_POOL(float)
FUSOR_MEAN_POOL(bf16)
FUSOR_MEAN_POOL(f16)
#undef FUSOR_MEAN_POOL

}  // namespace fusor::ops::kernels
