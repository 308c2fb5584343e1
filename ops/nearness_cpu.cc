#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/cpu.h"
#include "ops/nearness_kernels.h"
#include "ops/nearness_math.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kTile = 32;  // rows whose gradients are summed at a time, in the cache

template <Nearness kind, class T>
acc_t<T> score(const T* q, const T* c, std::int64_t cols) {
  using A = acc_t<T>;
  A sum = 0;
  if constexpr (kind == Nearness::moduli) {
    const std::int64_t half = cols / 2;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < half; ++i) {
      const A re = cpu::load(q[i]) - cpu::load(c[i]),
              im = cpu::load(q[half + i]) - cpu::load(c[half + i]);
      sum += std::sqrt(re * re + im * im);
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < cols; ++i)
      sum += column_share<kind>(cpu::load(q[i]), cpu::load(c[i]));
  }
  if constexpr (kind == Nearness::l2) return -std::sqrt(sum);
  return kind == Nearness::dot ? sum : -sum;
}

// dx += dy d nearness(x, z) / dx; of l2, dy is divided by the distance.
template <Nearness kind, class T>
void add_slopes(acc_t<T> dy, const T* x, const T* z, std::int64_t cols, acc_t<T>* dx) {
  using A = acc_t<T>;
  if constexpr (kind == Nearness::moduli) {
    const std::int64_t half = cols / 2;
#pragma omp simd
    for (std::int64_t i = 0; i < half; ++i) {
      const A re = cpu::load(z[i]) - cpu::load(x[i]),
              im = cpu::load(z[half + i]) - cpu::load(x[half + i]);
      const A modulus = std::sqrt(re * re + im * im), slope = modulus > 0 ? dy / modulus : A(0);
      dx[i] += slope * re;
      dx[half + i] += slope * im;
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < cols; ++i)
      dx[i] += column_slope<kind>(dy, cpu::load(x[i]), cpu::load(z[i]));
  }
}

// Calls row(kind, i, sum) for each of n rows, which adds to sum [cols] what goes to dx[i,:].
template <class T, class Row>
void for_slopes(const NearnessSize& s, T* dx, bool add, Row&& row) {
  using A = acc_t<T>;
  on_nearness(s.kind, [&]<Nearness kind> {
    cpu::parallel_for(s.n, kTile, [&](std::int64_t begin, std::int64_t end) {
      std::vector<A> sums(static_cast<std::size_t>((end - begin) * s.cols));
      row.template operator()<kind>(begin, end, sums.data());
      cpu::with_constant(add, [&](auto accumulate) {
        const A* from = sums.data();
        for (T* to = dx + begin * s.cols; to < dx + end * s.cols; ++to)
          cpu::put(accumulate, *to, *from++);
      });
    });
  });
}

}  // namespace

template <class T>
void candidate_scores(Cpu, const NearnessSize& s, const T* q, const T* c, T* y) {
  on_nearness(s.kind, [=]<Nearness kind> {
    cpu::parallel_for(s.n, cpu::row_grain(s.k * s.cols), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t j = 0; j < s.k; ++j)
          cpu::store(y[i * s.k + j], score<kind>(q + i * s.cols, c + j * s.cols, s.cols));
    });
  });
}

template <class T>
void candidate_scores_backward(Cpu, const NearnessSize& s, const NearnessStrides& at, const T* dy,
                               const T* y, const T* x, const T* z, T* dx, bool add) {
  for_slopes(s, dx, add, [=]<Nearness kind>(std::int64_t begin, std::int64_t end, acc_t<T>* sums) {
    for (std::int64_t j = 0; j < s.k; ++j)  // one row z for all rows of the tile
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t e = i * at.from_row + j * at.from_column;
        add_slopes<kind>(slope_factor<kind>(cpu::load(dy[e]), cpu::load(y[e])), x + i * s.cols,
                         z + j * s.cols, s.cols, sums + (i - begin) * s.cols);
      }
  });
}

template <class T>
void pair_scores(Cpu, const NearnessSize& s, const T* q, const T* c, T* y) {
  on_nearness(s.kind, [=]<Nearness kind> {
    cpu::parallel_for(s.n, cpu::row_grain(s.cols), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        cpu::store(y[i], score<kind>(q + i * s.cols, c + i * s.cols, s.cols));
    });
  });
}

template <class T>
void pair_scores_backward(Cpu, const NearnessSize& s, const T* dy, const T* y, const T* x,
                          const T* z, T* dx, bool add) {
  for_slopes(s, dx, add, [=]<Nearness kind>(std::int64_t begin, std::int64_t end, acc_t<T>* sums) {
    for (std::int64_t i = begin; i < end; ++i)
      add_slopes<kind>(slope_factor<kind>(cpu::load(dy[i]), cpu::load(y[i])), x + i * s.cols,
                       z + i * s.cols, s.cols, sums + (i - begin) * s.cols);
  });
}

#define FUSOR_NEARNESS(T)                                                                    \
  template void candidate_scores(Cpu, const NearnessSize&, const T*, const T*, T*);          \
  template void candidate_scores_backward(Cpu, const NearnessSize&, const NearnessStrides&,  \
                                          const T*, const T*, const T*, const T*, T*, bool); \
  template void pair_scores(Cpu, const NearnessSize&, const T*, const T*, T*);               \
  template void pair_scores_backward(Cpu, const NearnessSize&, const T*, const T*, const T*, \
                                     const T*, T*, bool);
FUSOR_NEARNESS(double)
FUSOR_NEARNESS(float)
FUSOR_NEARNESS(bf16)
FUSOR_NEARNESS(f16)
#undef FUSOR_NEARNESS

}  // namespace fusor::ops::kernels
