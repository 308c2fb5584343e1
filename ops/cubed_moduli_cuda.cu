#include "ops/cubed_moduli_kernels.h"
#include "ops/cuda_map.h"
#include "ops/cuda_total.h"

namespace fusor::ops::kernels {
namespace {

using cuda::kWarp;

constexpr int kRows = 8;  // of a block, a warp for each

template <class T>
__device__ acc_t<T> modulus(const T* row, std::int64_t units, std::int64_t u, bool complex) {
  const acc_t<T> re = cuda::load(row[u]);
  if (!complex) return re < 0 ? -re : re;
  const acc_t<T> im = cuda::load(row[units + u]);
  return sqrt(re * re + im * im);
}

template <class T>
__global__ void __launch_bounds__(kRows* kWarp)
    rows_kernel(CubedSize s, const T* x, double* of_rows) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t row = cuda::first_round() / kWarp, units = s.complex ? s.cols / 2 : s.cols;
  if (row >= s.rows) return;  // a whole warp
  acc_t<T> sum = 0;
  for (std::int64_t u = lane; u < units; u += kWarp) {
    const acc_t<T> m = modulus(x + row * s.cols, units, u, s.complex);
    sum += m * m * m;
  }
  sum = cuda::warp_sum(sum);
  if (lane == 0) of_rows[row] = s.factor * static_cast<double>(sum);
}

// at() does N units of a row, and for complex numbers both of their parts.
template <class T>
struct Slopes {
  std::int64_t units;
  bool complex;
  double factor;
  const double* dloss;
  const T* x;
  T* dx;
  bool add;

  template <int N>
  __device__ void at(std::int64_t row, std::int64_t u) const {
    using A = acc_t<T>;
    const auto scale = static_cast<A>(3 * factor * *dloss);
    const std::int64_t re_at = row * units * (complex ? 2 : 1) + u, im_at = re_at + units;
    auto re = cuda::load<N>(x + re_at);
    cuda::Vector<A, N> im{};
    if (complex) im = cuda::load<N>(x + im_at);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const A slope = scale * sqrt(re.at[k] * re.at[k] + im.at[k] * im.at[k]);
      re.at[k] *= slope;
      im.at[k] *= slope;
    }
    cuda::put<N>(add, dx + re_at, re);
    if (complex) cuda::put<N>(add, dx + im_at, im);
  }
};

}  // namespace

template <class T>
void cubed_moduli(Cuda on, const CubedSize& s, const T* x, double* of_rows, double* loss) {
  cuda::run(on, {.blocks = cuda::ceil_div(s.rows, kRows), .threads = kRows * kWarp}, rows_kernel<T>,
            s, x, of_rows);
  cuda::total(on, s.rows, of_rows, loss);
}

template <class T>
void cubed_moduli_backward(Cuda on, const CubedSize& s, const double* dloss, const T* x, T* dx,
                           bool add) {
  constexpr int N = cuda::kVector<T>;
  const std::int64_t units = s.complex ? s.cols / 2 : s.cols;
  cuda::for_rows<N>(on, s.rows, units, cuda::hold_vectors<N>(x, dx),
                    Slopes<T>{units, s.complex, s.factor, dloss, x, dx, add});
}

#define FUSOR_CUBED_MODULI(T)                                                     \
  template void cubed_moduli(Cuda, const CubedSize&, const T*, double*, double*); \
  template void cubed_moduli_backward(Cuda, const CubedSize&, const double*, const T*, T*, bool);
FUSOR_CUBED_MODULI(double)
FUSOR_CUBED_MODULI(float)
FUSOR_CUBED_MODULI(bf16)
FUSOR_CUBED_MODULI(f16)
#undef FUSOR_CUBED_MODULI

}  // namespace fusor::ops::kernels
