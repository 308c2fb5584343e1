#include "ops/cpu.h"
#include "ops/sparse_update_kernels.h"
#include "ops/sparse_update_math.h"

namespace fusor::ops::kernels {

void forget_firsts(Cpu, std::int64_t entries, const std::int32_t* ids, std::int32_t* firsts) {
  for (std::int64_t e = 0; e < entries; ++e)
    if (ids[e] >= 0) firsts[ids[e]] = -1;
}

template <class A>
void merge_rows(Cpu, const EntryRange& range, const std::int32_t* ids, std::int32_t* firsts,
                A* rows) {
  const auto [first, last, cols] = range;
  cpu::parallel_for(last - first, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = first + begin; e < first + end; ++e) {
      if (ids[e] < 0) continue;
      std::int32_t& known = firsts[ids[e]];
      if (known < 0) {
        known = static_cast<std::int32_t>(e);
        continue;
      }
      A* const to = rows + known * cols;
      const A* const from = rows + e * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) to[c] += from[c];
    }
  });
}

template <class A>
void update_rows(Cpu, const EntryRange& range, const TableArrays<A>& table,
                 const UpdateFactors& factors, const std::int32_t* ids, const A* rows,
                 const std::int32_t* firsts) {
  const std::int64_t cols = range.cols;
  const RowUpdate<A> f(factors.settings, factors.rates, *factors.grad_scale);
  cpu::parallel_for(range.end, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = begin; e < end; ++e) {
      if (ids[e] < 0 || firsts[ids[e]] != e) continue;
      const A* const g = rows + e * cols;
      A *const w = table.weights + ids[e] * cols, *const v = table.v + ids[e] * cols;
      if (table.optimizer == TableOptimizer::adagrad) {
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c) f.adagrad(g[c], w[c], v[c]);
      } else {
        A* const m = table.m + ids[e] * cols;
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c) f.adam(g[c], w[c], m[c], v[c]);
      }
    }
  });
}

#define FUSOR_SPARSE_UPDATE(A)                                                                   \
  template void merge_rows(Cpu, const EntryRange&, const std::int32_t*, std::int32_t*, A*);      \
  template void update_rows(Cpu, const EntryRange&, const TableArrays<A>&, const UpdateFactors&, \
                            const std::int32_t*, const A*, const std::int32_t*);
FUSOR_SPARSE_UPDATE(double)
FUSOR_SPARSE_UPDATE(float)
#undef FUSOR_SPARSE_UPDATE

}  // namespace fusor::ops::kernels
