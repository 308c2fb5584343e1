#include "ops/add_norm_kernels.h"
#include "ops/cuda_norm.h"
#include "ops/cuda_random.h"

namespace fusor::ops::kernels {
namespace {

// Rows to be normalised that are the sum of two.
template <class T>
struct Added {
  Addition<T> of;
  std::uint32_t limit;  // see drop_limit
  acc_t<T> scale;
  RandomKey key{};  // known where the kernel runs

  __device__ Added at_start() const {
    Added here = *this;
    if (limit > 0) here.key = of.mask.key();
    return here;
  }
  __device__ const T* rows() const { return of.sum; }

  template <int N>
  __device__ cuda::Vector<T, N> read(std::int64_t row, std::int64_t cols, std::int64_t c) const {
    using A = acc_t<T>;
    const std::int64_t at = row * cols + c;
    const auto base = cuda::load<N>(of.residual + at), x = cuda::load<N>(of.x + at);
    std::uint32_t words[N]{};
    if (limit > 0) cuda::draw(key, of.mask.map.global_row(row) * cols + c, words);
    cuda::Vector<T, N> sum;
#pragma unroll
    for (int j = 0; j < N; ++j)
      cuda::store(sum.at[j], base.at[j] + (words[j] >> 8 >= limit ? x.at[j] * scale : A(0)));
    return sum;
  }
  template <int N>
  __device__ void write(std::int64_t at, const cuda::Vector<T, N>& sum) const {
    cuda::write(of.sum + at, sum);
  }
};

template <bool kCentred, class T, class A>
void add_norm(Cuda on, std::int64_t rows, const Addition<T>& a, double eps, const T* gain,
              const T* bias, T* y, A* mean, A* rstd) {
  const auto scale = static_cast<A>(1 / (1 - a.mask.p));
  const Added<T> sum{a, cuda::drop_limit(a.mask.p), scale};
  const cuda::NormTask<T, Added<T>> task{eps, sum, gain, bias, y, mean, rstd};
  const std::int64_t cols = a.mask.cols;
  const bool aligned = cuda::rows_aligned<T>(cols, a.residual, a.x, a.sum, gain, bias, y);
  cuda::run_norm<kCentred>(on, rows, cols, aligned, task);
}

}  // namespace

template <class T, class A>
void add_layer_norm(Cuda on, std::int64_t rows, const Addition<T>& a, double eps, const T* gain,
                    const T* bias, T* y, A* mean, A* rstd) {
  add_norm<true>(on, rows, a, eps, gain, bias, y, mean, rstd);
}

template <class T, class A>
void add_rms_norm(Cuda on, std::int64_t rows, const Addition<T>& a, double eps, const T* gain, T* y,
                  A* inv_rms) {
  add_norm<false, T, A>(on, rows, a, eps, gain, nullptr, y, nullptr, inv_rms);
}

#define FUSOR_ADD_NORM(T, A)                                                                       \
  template void add_layer_norm(Cuda, std::int64_t, const Addition<T>&, double, const T*, const T*, \
                               T*, A*, A*);                                                        \
  template void add_rms_norm(Cuda, std::int64_t, const Addition<T>&, double, const T*, T*, A*);
FUSOR_ADD_NORM(double, double)
FUSOR_ADD_NORM(float, float)
FUSOR_ADD_NORM(bf16, float)
FUSOR_ADD_NORM(f16, float)
#undef FUSOR_ADD_NORM

}  // namespace fusor::ops::kernels
