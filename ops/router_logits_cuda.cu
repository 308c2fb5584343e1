#include <algorithm>

#include "ops/cuda_tile.h"
#include "ops/router_logits_kernels.h"

namespace fusor::ops::kernels {
namespace {

using cuda::kSide;
using cuda::kTile;
using cuda::kTileThreads;
using cuda::kVector;
using cuda::kWarp;
using cuda::tile_row;
using cuda::Vector;

constexpr int kColumns = 64;  // of x and w, in shared memory

// Whether rows of `cols` elements can be moved 16 bytes at a time.
template <class T>
bool is_wide(std::int64_t cols, const T* rows) {
  return cols % kVector<T> == 0 && cuda::is_aligned(rows);
}

// Logits of 16 kI rows and 16 kJ experts.
template <class T, class A, int kI, int kJ>
__global__ void __launch_bounds__(kTileThreads)
    logits_kernel(std::int64_t rows, std::int64_t experts, std::int64_t cols, const T* x,
                  const T* w, A* logits, bool wide) {
  A* of_x = cuda::dynamic_shared<A>();                  // [16 kI, kColumns]
  A* of_w = of_x + kI * kSide * tile_row<A>(kColumns);  // [16 kJ, kColumns]
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * kI * kSide;
  const std::int64_t e = static_cast<std::int64_t>(blockIdx.y) * kJ * kSide;
  A sum[kI][kJ] = {};
  for (std::int64_t c = 0; c < cols; c += kColumns) {
    __syncthreads();  // the tiles before these have been read
    cuda::load_tile<kI * kSide, kColumns>(x + r * cols + c, cols, rows - r, cols - c, wide, of_x);
    cuda::load_tile<kJ * kSide, kColumns>(w + e * cols + c, cols, experts - e, cols - c, wide,
                                          of_w);
    __syncthreads();
    cuda::multiply_transposed<kColumns>(
        of_x, of_w, static_cast<int>(cols - c < kColumns ? cols - c : kColumns), sum);
  }
#pragma unroll
  for (int i = 0; i < kI; ++i)
#pragma unroll
    for (int j = 0; j < kJ; ++j) {
      const std::int64_t row = r + cuda::tile_y() + kSide * i;
      const std::int64_t expert = e + cuda::tile_x() + kSide * j;
      if (row < rows && expert < experts) logits[row * experts + expert] = sum[i][j];
    }
}

// kTile rows and kColumns columns of dx.
template <class T, class A>
__global__ void __launch_bounds__(kTileThreads)
    dx_kernel(std::int64_t rows, std::int64_t experts, std::int64_t cols, const A* dlogits,
              const T* w, T* dx, bool add, bool wide) {
  A* of_w = cuda::dynamic_shared<A>();                // [kTile experts, kColumns]
  A* weights = of_w + kTile * tile_row<A>(kColumns);  // [kTile rows, kTile experts]
  const std::int64_t r = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.y) * kColumns;
  A sum[cuda::kEach][kColumns / kSide] = {};
  for (std::int64_t e = 0; e < experts; e += kTile) {
    const int n = static_cast<int>(experts - e < kTile ? experts - e : kTile);
    const int whole = (n + kVector<A> - 1) / kVector<A> * kVector<A>;
    __syncthreads();  // the tiles before these have been read
    cuda::load_tile<kTile, kColumns>(w + e * cols + c, cols, n, cols - c, wide, of_w);
    for (int i = static_cast<int>(threadIdx.x); i < kTile * whole; i += kTileThreads) {
      const int row = i / whole, expert = i % whole;
      weights[row * cuda::kWeightRow<A> + expert] =
          r + row < rows && expert < n ? dlogits[(r + row) * experts + e + expert] : A(0);
    }
    __syncthreads();
    cuda::multiply<kColumns>(weights, of_w, n, sum);
  }
#pragma unroll
  for (int i = 0; i < cuda::kEach; ++i) {
    const std::int64_t row = r + cuda::tile_y() + kSide * i;
    if (row < rows)
      cuda::put_columns(dx + row * cols + c, cols - c, wide, add ? A(1) : A(0), sum[i]);
  }
}

constexpr int kDwWarps = 16;    // of a block; each takes every 16th row
constexpr int kDwExperts = 16;  // of a block
constexpr int kAtOnce = 4;      // experts whose warps are added at a time

// dlogits[0], ..., dlogits[kDwExperts - 1], of which n exist. kWhole: all do, and `dlogits` is a
// multiple of 16 bytes.
template <bool kWhole, class A>
__device__ void load_slopes(const A* dlogits, std::int64_t n, A (&d)[kDwExperts]) {
  if constexpr (kWhole) {
#pragma unroll
    for (int e = 0; e < kDwExperts; e += kVector<A>) {
      const Vector<A, kVector<A>> part = cuda::vector_at(dlogits + e);
#pragma unroll
      for (int u = 0; u < kVector<A>; ++u) d[e + u] = part.at[u];
    }
  } else {
#pragma unroll
    for (int e = 0; e < kDwExperts; ++e) d[e] = e < n ? dlogits[e] : A(0);
  }
}

// kDwExperts rows and 32 kV columns of dw. Each warp sums its rows, kV columns a lane; then the
// warps are added in order.
template <class T, class A, int kV, bool kWhole>
__global__ void __launch_bounds__(kDwWarps* kWarp, 1)
    dw_kernel(std::int64_t rows, std::int64_t experts, std::int64_t cols, const A* dlogits,
              const T* x, A* dw, bool add) {
  constexpr int kCols = kWarp * kV;
  __shared__ A of_warp[kDwWarps][kAtOnce][kCols];
  const int warp = static_cast<int>(threadIdx.x) / kWarp,
            lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kCols, c = first + lane * kV;
  const std::int64_t e = static_cast<std::int64_t>(blockIdx.y) * kDwExperts;
  A sum[kDwExperts][kV] = {};
#pragma unroll 2
  for (std::int64_t r = warp; r < rows; r += kDwWarps) {
    Vector<T, kV> part{};
    if (c < cols) part = *reinterpret_cast<const Vector<T, kV>*>(x + r * cols + c);
    A d[kDwExperts];
    load_slopes<kWhole>(dlogits + r * experts + e, experts - e, d);
#pragma unroll
    for (int i = 0; i < kDwExperts; ++i)
#pragma unroll
      for (int u = 0; u < kV; ++u) sum[i][u] += d[i] * cuda::load(part.at[u]);
  }
#pragma unroll
  for (int begin = 0; begin < kDwExperts; begin += kAtOnce) {
    __syncthreads();  // the sums before these have been read
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
#pragma unroll
      for (int u = 0; u < kV; ++u) of_warp[warp][i][lane * kV + u] = sum[begin + i][u];
    __syncthreads();
    for (int at = static_cast<int>(threadIdx.x); at < kAtOnce * kCols; at += kDwWarps * kWarp) {
      const std::int64_t expert = e + begin + at / kCols, column = first + at % kCols;
      if (expert >= experts || column >= cols) continue;
      A all = 0;
      for (int w = 0; w < kDwWarps; ++w) all += of_warp[w][at / kCols][at % kCols];
      cuda::put(add, dw[expert * cols + column], all);
    }
  }
}

}  // namespace

template <class T, class A>
void router_logits(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t cols, const T* x,
                   const T* w, A* logits) {
  const bool wide = is_wide(cols, x) && is_wide(cols, w);
  const auto launch = [&]<int kI, int kJ> {
    cuda::run(on,
              {.blocks = cuda::ceil_div(rows, kI * kSide),
               .threads = kTileThreads,
               .shared = (kI + kJ) * kSide * tile_row<A>(kColumns) * sizeof(A),
               .rows = cuda::ceil_div(experts, kJ * kSide)},
              logits_kernel<T, A, kI, kJ>, rows, experts, cols, x, w, logits, wide);
  };
  if (experts <= kSide)
    launch.template operator()<2, 1>();
  else
    launch.template operator()<2, 4>();
}

template <class T, class A>
void router_logits_dx(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* w, T* dx, bool add) {
  cuda::run(on,
            {.blocks = cuda::ceil_div(rows, kTile),
             .threads = kTileThreads,
             .shared = kTile * (tile_row<A>(kColumns) + cuda::kWeightRow<A>)*sizeof(A),
             .rows = cuda::ceil_div(cols, kColumns)},
            dx_kernel<T, A>, rows, experts, cols, dlogits, w, dx, add,
            is_wide(cols, w) && is_wide<T>(cols, dx));
}

template <class T, class A>
void router_logits_dw(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* x, A* dw, bool add) {
  const auto launch = [&]<int kV, bool kWhole> {
    cuda::run(on,
              {.blocks = cuda::ceil_div(cols, kV * kWarp),
               .threads = kDwWarps * kWarp,
               .rows = cuda::ceil_div(experts, kDwExperts)},
              dw_kernel<T, A, kV, kWhole>, rows, experts, cols, dlogits, x, dw, add);
  };
  const bool pairs = cols % 2 == 0 && cuda::is_aligned(x, 2 * sizeof(T));
  if (experts % kDwExperts == 0 && cuda::is_aligned(dlogits))
    pairs ? launch.template operator()<2, true>() : launch.template operator()<1, true>();
  else
    pairs ? launch.template operator()<2, false>() : launch.template operator()<1, false>();
}

#define FUSOR_ROUTER_LOGITS(T, A)                                                                 \
  template void router_logits(Cuda, std::int64_t, std::int64_t, std::int64_t, const T*, const T*, \
                              A*);                                                                \
  template void router_logits_dx(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*,        \
                                 const T*, T*, bool);                                             \
  template void router_logits_dw(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*,        \
                                 const T*, A*, bool);
FUSOR_ROUTER_LOGITS(double, double)
FUSOR_ROUTER_LOGITS(float, float)
FUSOR_ROUTER_LOGITS(bf16, float)
FUSOR_ROUTER_LOGITS(f16, float)
#undef FUSOR_ROUTER_LOGITS

}  // namespace fusor::ops::kernels
