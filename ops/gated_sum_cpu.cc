#include <cmath>

#include "ops/cpu.h"
#include "ops/gated_sum_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void modality_shares(Cpu, const Modalities& all, const T* gates, acc_t<T>* share) {
  const auto one_row = [=](std::int64_t r) {
    acc_t<T>* to = share + r * all.count;
    acc_t<T> most = 0, sum = 0;
    bool any = false;
    for (int m = 0; m < all.count; ++m) {
      if (!all.has(r, m)) continue;
      const acc_t<T> gate = gates ? cpu::load(gates[r * all.count + m]) : 0;
      if (!any || gate > most) most = gate;
      any = true;
    }
    for (int m = 0; m < all.count; ++m) {
      const acc_t<T> gate = gates ? cpu::load(gates[r * all.count + m]) : 0;
      to[m] = !all.has(r, m) ? 0 : gates ? std::exp(gate - most) : 1;
      sum += to[m];
    }
    for (int m = 0; gates && any && m < all.count; ++m) to[m] /= sum;
  };
  cpu::parallel_for(all.rows, cpu::row_grain(8 * all.count),
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r) one_row(r);
                    });
}

template <class T>
void gated_sum(Cpu, const Modalities& all, const acc_t<T>* share, const ModalityValues<T>& values,
               T* y) {
  constexpr std::int64_t kColumns = 64;  // at once
  const auto strip = [=](std::int64_t r, std::int64_t c) {
    const std::int64_t n = all.width - c < kColumns ? all.width - c : kColumns;
    acc_t<T> sum[kColumns] = {};
    for (int m = 0; m < all.count; ++m) {
      if (!all.has(r, m)) continue;
      const T* from = values.at[m] + r * all.width + c;
      const acc_t<T> a = share[r * all.count + m];
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) sum[k] += a * cpu::load(from[k]);
    }
    for (std::int64_t k = 0; k < n; ++k) cpu::store(y[r * all.width + c + k], sum[k]);
  };
  cpu::parallel_for(all.rows, cpu::row_grain(all.width * all.count),
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r)
                        for (std::int64_t c = 0; c < all.width; c += kColumns) strip(r, c);
                    });
}

template <class T>
void gated_sum_backward(Cpu, const Modalities& all, int m, const acc_t<T>* share, const T* dy,
                        T* dx, bool add) {
  const auto one_row = [=](std::int64_t r, auto accumulate) {
    const bool here = all.has(r, m);
    const acc_t<T> a = share[r * all.count + m];
    const T* from = dy + r * all.width;
    T* to = dx + r * all.width;
#pragma omp simd
    for (std::int64_t c = 0; c < all.width; ++c)
      cpu::put(accumulate, to[c], here ? a * cpu::load(from[c]) : 0);
  };
  cpu::parallel_for(all.rows, cpu::row_grain(all.width), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t r = begin; r < end; ++r) one_row(r, accumulate);
    });
  });
}

template <class T>
void gates_backward(Cpu, const Modalities& all, const acc_t<T>* share,
                    const ModalityValues<T>& values, const T* dy, T* dgates, bool add) {
  const auto one_row = [=](std::int64_t r, auto accumulate) {
    const T* from = dy + r * all.width;
    acc_t<T> d[kMostModalities] = {}, mean = 0;
    for (int m = 0; m < all.count; ++m) {
      if (!all.has(r, m)) continue;
      const T* value = values.at[m] + r * all.width;
      acc_t<T> sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t c = 0; c < all.width; ++c) sum += cpu::load(from[c]) * cpu::load(value[c]);
      d[m] = sum;
      mean += share[r * all.count + m] * sum;
    }
    for (int m = 0; m < all.count; ++m) {
      const std::int64_t at = r * all.count + m;
      cpu::put(accumulate, dgates[at], share[at] * (d[m] - mean));
    }
  };
  cpu::parallel_for(all.rows, cpu::row_grain(all.width * all.count),
                    [=](std::int64_t begin, std::int64_t end) {
                      cpu::with_constant(add, [=](auto accumulate) {
                        for (std::int64_t r = begin; r < end; ++r) one_row(r, accumulate);
                      });
                    });
}

#define FUSOR_GATED_SUM(T)                                                                        \
  template void modality_shares(Cpu, const Modalities&, const T*, acc_t<T>*);                     \
  template void gated_sum(Cpu, const Modalities&, const acc_t<T>*, const ModalityValues<T>&, T*); \
  template void gated_sum_backward(Cpu, const Modalities&, int, const acc_t<T>*, const T*, T*,    \
                                   bool);                                                         \
  template void gates_backward(Cpu, const Modalities&, const acc_t<T>*, const ModalityValues<T>&, \
                               const T*, T*, bool);
FUSOR_GATED_SUM(double)
FUSOR_GATED_SUM(float)
FUSOR_GATED_SUM(bf16)
FUSOR_GATED_SUM(f16)
#undef FUSOR_GATED_SUM

}  // namespace fusor::ops::kernels
