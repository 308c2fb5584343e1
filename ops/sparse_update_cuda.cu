#include "ops/cuda_map.h"
#include "ops/sparse_update_kernels.h"
#include "ops/sparse_update_math.h"

namespace fusor::ops::kernels {
namespace {

using cuda::kWarp;

constexpr int kRows = 8;  // of a block, a warp for each entry

__device__ std::int64_t entry_of(const EntryRange& range) {
  return range.begin + cuda::first_round() / kWarp;
}
__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

cuda::Grid warps(const EntryRange& range) {
  return {.blocks = cuda::ceil_div(range.end - range.begin, kRows), .threads = kRows * kWarp};
}

__global__ void forget_kernel(std::int64_t entries, const std::int32_t* ids, std::int32_t* firsts) {
  for (std::int64_t e = cuda::first_round(); e < entries; e += cuda::rounds_at_once())
    if (ids[e] >= 0) firsts[ids[e]] = -1;
}

template <class A, int N>
__global__ void __launch_bounds__(kRows* kWarp)
    merge_kernel(EntryRange range, const std::int32_t* ids, std::int32_t* firsts, A* rows) {
  const std::int64_t e = entry_of(range);
  if (e >= range.end || ids[e] < 0) return;  // a whole warp
  const std::int32_t known = firsts[ids[e]];
  __syncwarp();  // all lanes have read it
  if (known < 0) {
    if (lane() == 0) firsts[ids[e]] = static_cast<std::int32_t>(e);
    return;
  }
  A* const to = rows + known * range.cols;
  for (std::int64_t c = lane() * N; c < range.cols; c += kWarp * N)
    cuda::put<N>(true, to + c, cuda::read<N>(rows + e * range.cols + c));
}

template <class A, int N>
__global__ void __launch_bounds__(kRows* kWarp)
    update_kernel(EntryRange range, TableArrays<A> table, UpdateFactors factors,
                  const std::int32_t* ids, const A* rows, const std::int32_t* firsts) {
  const std::int64_t e = entry_of(range);
  if (e >= range.end || ids[e] < 0 || firsts[ids[e]] != e) return;  // a whole warp
  const RowUpdate<A> f(factors.settings, factors.rates, *factors.grad_scale);
  const std::int64_t row = static_cast<std::int64_t>(ids[e]) * range.cols;
  for (std::int64_t c = lane() * N; c < range.cols; c += kWarp * N) {
    const auto g = cuda::read<N>(rows + e * range.cols + c);
    auto w = cuda::read<N>(table.weights + row + c), v = cuda::read<N>(table.v + row + c);
    if (table.optimizer == TableOptimizer::adagrad) {
#pragma unroll
      for (int k = 0; k < N; ++k) f.adagrad(g.at[k], w.at[k], v.at[k]);
    } else {
      auto m = cuda::read<N>(table.m + row + c);
#pragma unroll
      for (int k = 0; k < N; ++k) f.adam(g.at[k], w.at[k], m.at[k], v.at[k]);
      cuda::write(table.m + row + c, m);
    }
    cuda::write(table.v + row + c, v);
    cuda::write(table.weights + row + c, w);
  }
}

// Whether all rows are whole vectors.
template <class A, class... At>
bool are_wide(std::int64_t cols, const At*... at) {
  constexpr int N = cuda::kVector<A>;
  return cols % N == 0 && cuda::hold_vectors<N>(at...);
}

}  // namespace

void forget_firsts(Cuda on, std::int64_t entries, const std::int32_t* ids, std::int32_t* firsts) {
  constexpr int kThreads = 256;
  cuda::run(on, {.blocks = cuda::loop_blocks(entries, kThreads), .threads = kThreads},
            forget_kernel, entries, ids, firsts);
}

template <class A>
void merge_rows(Cuda on, const EntryRange& range, const std::int32_t* ids, std::int32_t* firsts,
                A* rows) {
  constexpr int N = cuda::kVector<A>;
  cuda::run(on, warps(range),
            are_wide<A>(range.cols, rows) ? merge_kernel<A, N> : merge_kernel<A, 1>, range, ids,
            firsts, rows);
}

template <class A>
void update_rows(Cuda on, const EntryRange& range, const TableArrays<A>& table,
                 const UpdateFactors& factors, const std::int32_t* ids, const A* rows,
                 const std::int32_t* firsts) {
  constexpr int N = cuda::kVector<A>;
  const bool wide = are_wide<A>(range.cols, rows, table.weights, table.m, table.v);
  cuda::run(on, warps(range), wide ? update_kernel<A, N> : update_kernel<A, 1>, range, table,
            factors, ids, rows, firsts);
}

#define FUSOR_SPARSE_UPDATE(A)                                                                    \
  template void merge_rows(Cuda, const EntryRange&, const std::int32_t*, std::int32_t*, A*);      \
  template void update_rows(Cuda, const EntryRange&, const TableArrays<A>&, const UpdateFactors&, \
                            const std::int32_t*, const A*, const std::int32_t*);
FUSOR_SPARSE_UPDATE(double)
FUSOR_SPARSE_UPDATE(float)
#undef FUSOR_SPARSE_UPDATE

}  // namespace fusor::ops::kernels
