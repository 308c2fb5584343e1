#include <algorithm>
#include <cmath>

#include "ops/batch_norm_kernels.h"
#include "ops/cpu.h"

namespace fusor::ops::kernels {
namespace {

// body(block, begin, end) for each block of rows that batch_norm_block makes.
template <class Body>
void for_blocks(std::int64_t rows, std::int64_t cols, Body&& body) {
  const std::int64_t block = batch_norm_block(DeviceKind::cpu, rows, cols);
  cpu::parallel_for(rows, block,
                    [&](std::int64_t begin, std::int64_t end) { body(begin / block, begin, end); });
}

}  // namespace

// Two passes over rows that the first brought into the cache: no cancellation. The sums are of
// differences from the first row, so that a large mean costs no digits.
template <class T, class A>
void batch_norm_moments(Cpu, std::int64_t rows, std::int64_t cols, const T* x, A* moments) {
  for_blocks(rows, cols, [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
    A *const mean = moments + 2 * block * cols, *const squares = mean + cols;
    const T* const first = x + begin * cols;
    std::fill_n(mean, 2 * cols, A(0));
    for (std::int64_t r = begin + 1; r < end; ++r) {
      const T* const row = x + r * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) mean[c] += cpu::load(row[c]) - cpu::load(first[c]);
    }
    const auto n = static_cast<A>(end - begin);
    for (std::int64_t c = 0; c < cols; ++c) mean[c] = mean[c] / n + cpu::load(first[c]);
    for (std::int64_t r = begin; r < end; ++r) {
      const T* const row = x + r * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) {
        const A d = cpu::load(row[c]) - mean[c];
        squares[c] += d * d;
      }
    }
  });
}

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances", 1979.
template <class A>
void combine_moments(Cpu, std::int64_t rows, std::int64_t block, std::int64_t cols, const A* parts,
                     A* to) {
  std::copy_n(parts, 2 * cols, to);
  for (std::int64_t part = 1; part * block < rows; ++part) {
    const A* const other = parts + 2 * part * cols;
    const std::int64_t before = part * block, n = std::min(block, rows - before);
    const A share = static_cast<A>(n) / static_cast<A>(before + n);
    const A weight = share * static_cast<A>(before);
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      const A d = other[c] - to[c];
      to[c] += d * share;
      to[cols + c] += other[cols + c] + d * d * weight;
    }
  }
}

template <class A>
void batch_norm_stats(Cpu, std::int64_t rows, std::int64_t cols, double eps, const A* moments,
                      A* stats) {
  const auto n = static_cast<A>(rows),
             unbiased = static_cast<A>(std::max<std::int64_t>(rows - 1, 1));
  for (std::int64_t c = 0; c < cols; ++c) {
    stats[c] = moments[c];
    stats[cols + c] = 1 / std::sqrt(moments[cols + c] / n + static_cast<A>(eps));
    stats[2 * cols + c] = moments[cols + c] / unbiased;
  }
}

template <class T, class A>
void batch_norm_running_stats(Cpu, std::int64_t cols, double eps, const T* mean, const T* variance,
                              A* stats) {
  for (std::int64_t c = 0; c < cols; ++c) {
    stats[c] = cpu::load(mean[c]);
    stats[2 * cols + c] = cpu::load(variance[c]);
    stats[cols + c] = 1 / std::sqrt(stats[2 * cols + c] + static_cast<A>(eps));
  }
}

template <class T>
void batch_norm(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by, const T* x,
                const T* residual, T* y) {
  using A = acc_t<T>;
  const A *const mean = by.stats, *const rstd = mean + cols;
  const auto run = [=, gain = by.gain, bias = by.bias](auto adds, auto clamps, std::int64_t begin,
                                                       std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t at = r * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) {
        A v = (cpu::load(x[at + c]) - mean[c]) * rstd[c] * cpu::load(gain[c]) + cpu::load(bias[c]);
        if constexpr (adds) v += cpu::load(residual[at + c]);
        if constexpr (clamps) v = v < 0 ? A(0) : v;
        cpu::store(y[at + c], v);
      }
    }
  };
  for_blocks(rows, cols, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    cpu::with_constant(residual != nullptr, [&](auto adds) {
      cpu::with_constant(by.relu, [&](auto clamps) { run(adds, clamps, begin, end); });
    });
  });
}

namespace {

// What of dy the ReLU lets through: `z` is the normalised x.
template <bool masks, class A>
A passed(std::bool_constant<masks>, A dy, A z, A gain, A bias) {
  if constexpr (!masks) return dy;
  return z * gain + bias > 0 ? dy : A(0);
}

}  // namespace

template <class T, class A>
void batch_norm_sums(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by,
                     const T* dy, const T* x, A* sums) {
  const A *const mean = by.stats, *const rstd = mean + cols;
  for_blocks(rows, cols, [&](std::int64_t block, std::int64_t begin, std::int64_t end) {
    A *const sum = sums + 2 * block * cols, *const products = sum + cols;
    std::fill_n(sum, 2 * cols, A(0));
    cpu::with_constant(by.relu, [&, gain = by.gain, bias = by.bias](auto masks) {
      for (std::int64_t at = begin * cols; at < end * cols; at += cols) {
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c) {
          const A z = (cpu::load(x[at + c]) - mean[c]) * rstd[c];
          const A g =
              passed(masks, cpu::load(dy[at + c]), z, cpu::load(gain[c]), cpu::load(bias[c]));
          sum[c] += g;
          products[c] += g * z;
        }
      }
    });
  });
}

template <class T, class A>
void batch_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by,
                         const T* dy, const T* x, const A* sums, std::int64_t count, T* dx,
                         bool add) {
  const A *const mean = by.stats, *const rstd = mean + cols;
  const A share = 1 / static_cast<A>(count);
  const auto run = [=, gain = by.gain, bias = by.bias](auto masks, auto centred, auto accumulate,
                                                       std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin * cols; at < end * cols; at += cols) {
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) {
        const A z = (cpu::load(x[at + c]) - mean[c]) * rstd[c], scale = cpu::load(gain[c]);
        A g = passed(masks, cpu::load(dy[at + c]), z, scale, cpu::load(bias[c]));
        if constexpr (centred) g -= (sums[c] + z * sums[cols + c]) * share;
        cpu::put(accumulate, dx[at + c], scale * rstd[c] * g);
      }
    }
  };
  for_blocks(rows, cols, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    cpu::with_constant(by.relu, [&](auto masks) {
      cpu::with_constant(sums != nullptr, [&](auto centred) {
        cpu::with_constant(add,
                           [&](auto accumulate) { run(masks, centred, accumulate, begin, end); });
      });
    });
  });
}

#define FUSOR_BATCH_NORM(T)                                                                     \
  template void batch_norm_moments(Cpu, std::int64_t, std::int64_t, const T*, acc_t<T>*);       \
  template void batch_norm_running_stats(Cpu, std::int64_t, double, const T*, const T*,         \
                                         acc_t<T>*);                                            \
  template void batch_norm(Cpu, std::int64_t, std::int64_t, const BatchNormScale<T>&, const T*, \
                           const T*, T*);                                                       \
  template void batch_norm_sums(Cpu, std::int64_t, std::int64_t, const BatchNormScale<T>&,      \
                                const T*, const T*, acc_t<T>*);                                 \
  template void batch_norm_backward(Cpu, std::int64_t, std::int64_t, const BatchNormScale<T>&,  \
                                    const T*, const T*, const acc_t<T>*, std::int64_t, T*, bool);
FUSOR_BATCH_NORM(double)
FUSOR_BATCH_NORM(float)
FUSOR_BATCH_NORM(bf16)
FUSOR_BATCH_NORM(f16)
#undef FUSOR_BATCH_NORM

#define FUSOR_MOMENTS(A)                                                                      \
  template void combine_moments(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*, A*); \
  template void batch_norm_stats(Cpu, std::int64_t, std::int64_t, double, const A*, A*);
FUSOR_MOMENTS(double)
FUSOR_MOMENTS(float)
#undef FUSOR_MOMENTS

}  // namespace fusor::ops::kernels
