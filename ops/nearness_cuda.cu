#include "ops/cuda_map.h"
#include "ops/nearness_kernels.h"
#include "ops/nearness_math.h"

namespace fusor::ops::kernels {
namespace {

using cuda::kWarp;

// Columns of a unit: a complex number's two lie half a row apart.
template <Nearness kind>
inline constexpr int kParts = kind == Nearness::moduli ? 2 : 1;

// A row's unit in registers.
template <Nearness kind, class A>
struct Unit {
  A part[kParts<kind>];
};
template <Nearness kind, class T>
__device__ Unit<kind, acc_t<T>> unit_at(const T* row, std::int64_t units, std::int64_t u) {
  Unit<kind, acc_t<T>> x;
#pragma unroll
  for (int p = 0; p < kParts<kind>; ++p) x.part[p] = cuda::load(row[p * units + u]);
  return x;
}

template <Nearness kind, class A>
__device__ A share(const Unit<kind, A>& q, const Unit<kind, A>& c) {
  if constexpr (kind == Nearness::moduli) {
    const A re = q.part[0] - c.part[0], im = q.part[1] - c.part[1];
    return sqrt(re * re + im * im);
  } else {
    return column_share<kind>(q.part[0], c.part[0]);
  }
}

template <Nearness kind, class A>
__device__ A score_of(A sum) {
  if constexpr (kind == Nearness::l2) return -sqrt(sum);
  return kind == Nearness::dot ? sum : -sum;
}

template <Nearness kind, class A>
__device__ void add_slope(A dy, const Unit<kind, A>& x, const Unit<kind, A>& z, Unit<kind, A>& dx) {
  if constexpr (kind == Nearness::moduli) {
    const A re = z.part[0] - x.part[0], im = z.part[1] - x.part[1];
    const A modulus = sqrt(re * re + im * im), slope = modulus > 0 ? dy / modulus : A(0);
    dx.part[0] += slope * re;
    dx.part[1] += slope * im;
  } else {
    dx.part[0] += column_slope<kind>(dy, x.part[0], z.part[0]);
  }
}

constexpr int kSide = 32;    // rows and units of a tile in shared memory
constexpr int kThreads = 8;  // rows of threads of a block, of a warp each
constexpr int kEach = kSide / kThreads;

__device__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }

// Rows [first, first + kSide) and units [unit, unit + kSide) of x [rows, units], 0 beyond.
template <Nearness kind, class A>
struct Tile {
  A at[kParts<kind>][kSide][kSide + 1];

  template <class T>
  __device__ void load(const T* x, std::int64_t rows, std::int64_t units, std::int64_t first,
                       std::int64_t unit) {
    const std::int64_t cols = units * kParts<kind>, u = unit + lane();
    for (int r = warp(); r < kSide; r += kThreads)
#pragma unroll
      for (int p = 0; p < kParts<kind>; ++p)
        at[p][r][lane()] = first + r < rows && u < units
                               ? cuda::load(x[(first + r) * cols + p * units + u])
                               : A(0);
  }
  __device__ Unit<kind, A> unit(int row, int u) const {
    Unit<kind, A> x;
#pragma unroll
    for (int p = 0; p < kParts<kind>; ++p) x.part[p] = at[p][row][u];
    return x;
  }
};

// A block has kSide queries by kSide candidates; a thread, one candidate and kEach queries.
template <Nearness kind, class T>
__global__ void __launch_bounds__(kThreads* kWarp)
    scores_kernel(std::int64_t n, std::int64_t k, std::int64_t units, const T* q, const T* c,
                  T* y) {
  using A = acc_t<T>;
  __shared__ Tile<kind, A> queries, candidates;
  const std::int64_t first_q = static_cast<std::int64_t>(blockIdx.y) * kSide,
                     first_c = static_cast<std::int64_t>(blockIdx.x) * kSide;
  A sum[kEach] = {};
  for (std::int64_t unit = 0; unit < units; unit += kSide) {
    __syncthreads();
    queries.load(q, n, units, first_q, unit);
    candidates.load(c, k, units, first_c, unit);
    __syncthreads();
    for (int u = 0; u < kSide; ++u) {
      const auto z = candidates.unit(lane(), u);
#pragma unroll
      for (int e = 0; e < kEach; ++e) sum[e] += share(queries.unit(warp() + e * kThreads, u), z);
    }
  }
  for (int e = 0; e < kEach; ++e) {
    const std::int64_t i = first_q + warp() + e * kThreads, j = first_c + lane();
    if (i < n && j < k) cuda::store(y[i * k + j], score_of<kind>(sum[e]));
  }
}

// A block has kSide rows of x by kSide units; a thread, one unit of kEach rows.
template <Nearness kind, class T>
__global__ void __launch_bounds__(kThreads* kWarp)
    slopes_kernel(std::int64_t n, std::int64_t k, std::int64_t units, NearnessStrides at,
                  const T* dy, const T* y, const T* x, const T* z, T* dx, bool add) {
  using A = acc_t<T>;
  __shared__ Tile<kind, A> others;
  __shared__ A factors[kSide][kSide + 1];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kSide,
                     unit = static_cast<std::int64_t>(blockIdx.x) * kSide, u = unit + lane();
  const std::int64_t cols = units * kParts<kind>;
  Unit<kind, A> mine[kEach], sum[kEach] = {};
  for (int e = 0; e < kEach; ++e) {
    const std::int64_t i = first + warp() + e * kThreads;
    mine[e] = i < n && u < units ? unit_at<kind>(x + i * cols, units, u) : Unit<kind, A>{};
  }
  for (std::int64_t begin = 0; begin < k; begin += kSide) {
    __syncthreads();
    others.load(z, k, units, begin, unit);
    for (int r = warp(); r < kSide; r += kThreads) {
      const std::int64_t i = first + r, j = begin + lane(),
                         e = i * at.from_row + j * at.from_column;
      factors[r][lane()] =
          i < n && j < k ? slope_factor<kind>(cuda::load(dy[e]), cuda::load(y[e])) : A(0);
    }
    __syncthreads();
    const int count = static_cast<int>(min(static_cast<std::int64_t>(kSide), k - begin));
    for (int j = 0; j < count; ++j) {
      const auto other = others.unit(j, lane());
#pragma unroll
      for (int e = 0; e < kEach; ++e)
        add_slope(factors[warp() + e * kThreads][j], mine[e], other, sum[e]);
    }
  }
  for (int e = 0; e < kEach; ++e) {
    const std::int64_t i = first + warp() + e * kThreads;
    if (i >= n || u >= units) continue;
#pragma unroll
    for (int p = 0; p < kParts<kind>; ++p)
      cuda::put(add, dx[i * cols + p * units + u], sum[e].part[p]);
  }
}

// A warp has a row.
template <Nearness kind, class T>
__global__ void __launch_bounds__(kThreads* kWarp)
    pairs_kernel(std::int64_t n, std::int64_t units, const T* q, const T* c, T* y) {
  using A = acc_t<T>;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + warp();
  if (row >= n) return;
  const T *qr = q + row * units * kParts<kind>, *cr = c + row * units * kParts<kind>;
  A sum = 0;
  for (std::int64_t u = lane(); u < units; u += kWarp)
    sum += share(unit_at<kind>(qr, units, u), unit_at<kind>(cr, units, u));
  sum = cuda::warp_sum(sum);
  if (lane() == 0) cuda::store(y[row], score_of<kind>(sum));
}

template <Nearness kind, class T>
__global__ void __launch_bounds__(kThreads* kWarp)
    pair_slopes_kernel(std::int64_t n, std::int64_t units, const T* dy, const T* y, const T* x,
                       const T* z, T* dx, bool add) {
  using A = acc_t<T>;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + warp();
  if (row >= n) return;
  const std::int64_t begin = row * units * kParts<kind>;
  const A factor = slope_factor<kind>(cuda::load(dy[row]), cuda::load(y[row]));
  for (std::int64_t u = lane(); u < units; u += kWarp) {
    Unit<kind, A> slope{};
    add_slope(factor, unit_at<kind>(x + begin, units, u), unit_at<kind>(z + begin, units, u),
              slope);
#pragma unroll
    for (int p = 0; p < kParts<kind>; ++p) cuda::put(add, dx[begin + p * units + u], slope.part[p]);
  }
}

template <class F>
void on_units(const NearnessSize& s, F&& f) {
  on_nearness(s.kind, [&]<Nearness kind> { f.template operator()<kind>(s.cols / kParts<kind>); });
}

// Blocks of kSide by kSide; a grid has at most 65535 rows, of which `many` fills its other side.
cuda::Grid tiles(std::int64_t many, std::int64_t rows) {
  return {.blocks = cuda::ceil_div(many, kSide),
          .threads = kThreads * kWarp,
          .rows = cuda::ceil_div(rows, kSide)};
}

cuda::Grid warps(std::int64_t rows) {
  return {.blocks = cuda::ceil_div(rows, kThreads), .threads = kThreads * kWarp};
}

}  // namespace

template <class T>
void candidate_scores(Cuda on, const NearnessSize& s, const T* q, const T* c, T* y) {
  on_units(s, [&]<Nearness kind>(std::int64_t units) {
    cuda::run(on, tiles(s.k, s.n), scores_kernel<kind, T>, s.n, s.k, units, q, c, y);
  });
}

template <class T>
void candidate_scores_backward(Cuda on, const NearnessSize& s, const NearnessStrides& at,
                               const T* dy, const T* y, const T* x, const T* z, T* dx, bool add) {
  on_units(s, [&]<Nearness kind>(std::int64_t units) {
    cuda::run(on, tiles(units, s.n), slopes_kernel<kind, T>, s.n, s.k, units, at, dy, y, x, z, dx,
              add);
  });
}

template <class T>
void pair_scores(Cuda on, const NearnessSize& s, const T* q, const T* c, T* y) {
  on_units(s, [&]<Nearness kind>(std::int64_t units) {
    cuda::run(on, warps(s.n), pairs_kernel<kind, T>, s.n, units, q, c, y);
  });
}

template <class T>
void pair_scores_backward(Cuda on, const NearnessSize& s, const T* dy, const T* y, const T* x,
                          const T* z, T* dx, bool add) {
  on_units(s, [&]<Nearness kind>(std::int64_t units) {
    cuda::run(on, warps(s.n), pair_slopes_kernel<kind, T>, s.n, units, dy, y, x, z, dx, add);
  });
}

#define FUSOR_NEARNESS(T)                                                                     \
  template void candidate_scores(Cuda, const NearnessSize&, const T*, const T*, T*);          \
  template void candidate_scores_backward(Cuda, const NearnessSize&, const NearnessStrides&,  \
                                          const T*, const T*, const T*, const T*, T*, bool);  \
  template void pair_scores(Cuda, const NearnessSize&, const T*, const T*, T*);               \
  template void pair_scores_backward(Cuda, const NearnessSize&, const T*, const T*, const T*, \
                                     const T*, T*, bool);
FUSOR_NEARNESS(double)
FUSOR_NEARNESS(float)
FUSOR_NEARNESS(bf16)
FUSOR_NEARNESS(f16)
#undef FUSOR_NEARNESS

}  // namespace fusor::ops::kernels
