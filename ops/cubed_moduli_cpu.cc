#include <cmath>

#include "ops/cpu.h"
#include "ops/cubed_moduli_kernels.h"

namespace fusor::ops::kernels {
namespace {

// The modulus of each unit of a row: of column c, or of the complex number of columns c and
// half + c.
template <bool complex, class T>
acc_t<T> modulus(const T* row, std::int64_t half, std::int64_t c) {
  const acc_t<T> re = cpu::load(row[c]);
  if constexpr (!complex) return std::abs(re);
  const acc_t<T> im = cpu::load(row[half + c]);
  return std::sqrt(re * re + im * im);
}

}  // namespace

template <class T>
void cubed_moduli(Cpu, const CubedSize& s, const T* x, double* of_rows, double* loss) {
  cpu::with_constant(s.complex, [=]<bool complex>(std::bool_constant<complex>) {
    const std::int64_t units = complex ? s.cols / 2 : s.cols;
    cpu::parallel_for(s.rows, cpu::row_grain(s.cols), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        acc_t<T> sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t c = 0; c < units; ++c) {
          const acc_t<T> m = modulus<complex>(x + r * s.cols, units, c);
          sum += m * m * m;
        }
        of_rows[r] = s.factor * static_cast<double>(sum);
      }
    });
  });
  *loss = 0;
  for (std::int64_t r = 0; r < s.rows; ++r) *loss += of_rows[r];
}

template <class T>
void cubed_moduli_backward(Cpu, const CubedSize& s, const double* dloss, const T* x, T* dx,
                           bool add) {
  const auto factor = static_cast<acc_t<T>>(3 * s.factor * *dloss);
  const auto row = [=]<bool complex>(std::bool_constant<complex>, std::int64_t r, auto accumulate) {
    const std::int64_t units = complex ? s.cols / 2 : s.cols;
    const T* const from = x + r * s.cols;
    T* const to = dx + r * s.cols;
#pragma omp simd
    for (std::int64_t c = 0; c < units; ++c) {
      const acc_t<T> slope = factor * modulus<complex>(from, units, c);
      cpu::put(accumulate, to[c], slope * cpu::load(from[c]));
      if constexpr (complex)
        cpu::put(accumulate, to[units + c], slope * cpu::load(from[units + c]));
    }
  };
  cpu::with_constant(s.complex, [=](auto complex) {
    cpu::with_constant(add, [=](auto accumulate) {
      cpu::parallel_for(s.rows, cpu::row_grain(s.cols), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) row(complex, r, accumulate);
      });
    });
  });
}

#define FUSOR_CUBED_MODULI(T)                                                    \
  template void cubed_moduli(Cpu, const CubedSize&, const T*, double*, double*); \
  template void cubed_moduli_backward(Cpu, const CubedSize&, const double*, const T*, T*, bool);
FUSOR_CUBED_MODULI(double)
FUSOR_CUBED_MODULI(float)
FUSOR_CUBED_MODULI(bf16)
FUSOR_CUBED_MODULI(f16)
#undef FUSOR_CUBED_MODULI

}  // namespace fusor::ops::kernels
