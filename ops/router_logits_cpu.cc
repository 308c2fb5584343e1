#include <algorithm>

#include "ops/cpu.h"
#include "ops/router_logits_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kCols = 64;  // summed at a time, in registers

}  // namespace

template <class T, class A>
void router_logits(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols, const T* x,
                   const T* w, A* logits) {
  cpu::parallel_for(rows, cpu::row_grain(experts * cols),
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r)
                        for (std::int64_t e = 0; e < experts; ++e) {
                          const T *xr = x + r * cols, *we = w + e * cols;
                          A sum = 0;
#pragma omp simd reduction(+ : sum)
                          for (std::int64_t c = 0; c < cols; ++c)
                            sum += cpu::load(xr[c]) * cpu::load(we[c]);
                          logits[r * experts + e] = sum;
                        }
                    });
}

template <class T, class A>
void router_logits_dx(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* w, T* dx, bool add) {
  const auto columns = [=](std::int64_t r, std::int64_t first, auto accumulate) {
    const std::int64_t n = std::min(kCols, cols - first);
    A sum[kCols] = {};
    for (std::int64_t e = 0; e < experts; ++e) {
      const T* we = w + e * cols + first;
      const A d = dlogits[r * experts + e];
      for (std::int64_t c = 0; c < n; ++c) sum[c] += d * cpu::load(we[c]);
    }
    T* to = dx + r * cols + first;
    for (std::int64_t c = 0; c < n; ++c) cpu::put(accumulate, to[c], sum[c]);
  };
  cpu::parallel_for(rows, cpu::row_grain(experts * cols),
                    [=](std::int64_t begin, std::int64_t end) {
                      cpu::with_constant(add, [=](auto accumulate) {
                        for (std::int64_t r = begin; r < end; ++r)
                          for (std::int64_t first = 0; first < cols; first += kCols)
                            columns(r, first, accumulate);
                      });
                    });
}

// Shared out by columns: each sum keeps the order of the rows.
template <class T, class A>
void router_logits_dw(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* x, A* dw, bool add) {
  cpu::parallel_for(cols, kCols, [=](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = end - begin;
    for (std::int64_t e = 0; e < experts; ++e) {
      A sum[kCols] = {};
      for (std::int64_t r = 0; r < rows; ++r) {
        const T* xr = x + r * cols + begin;
        const A d = dlogits[r * experts + e];
        for (std::int64_t c = 0; c < n; ++c) sum[c] += d * cpu::load(xr[c]);
      }
      A* to = dw + e * cols + begin;
      for (std::int64_t c = 0; c < n; ++c) to[c] = (add ? to[c] : 0) + sum[c];
    }
  });
}

#define FUSOR_ROUTER_LOGITS(T, A)                                                                \
  template void router_logits(Cpu, std::int64_t, std::int64_t, std::int64_t, const T*, const T*, \
                              A*);                                                               \
  template void router_logits_dx(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*,        \
                                 const T*, T*, bool);                                            \
  template void router_logits_dw(Cpu, std::int64_t, std::int64_t, std::int64_t, const A*,        \
                                 const T*, A*, bool);
FUSOR_ROUTER_LOGITS(double, double)
FUSOR_ROUTER_LOGITS(float, float)
FUSOR_ROUTER_LOGITS(bf16, float)
FUSOR_ROUTER_LOGITS(f16, float)
#undef FUSOR_ROUTER_LOGITS

}  // namespace fusor::ops::kernels
