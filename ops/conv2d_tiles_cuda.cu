#include <utility>

#include "ops/conv2d_cuda.h"
#include "ops/cuda_map.h"
#include "ops/cuda_tile.h"
#include "ops/sum_rows_kernels.h"

// Each pass as c = a b^T of matrices that are never formed: a block gathers tiles of 64 rows and
// kDepth columns of each, and multiplies them.
//   forward  a [pixels of y, (r, s, c)]  b [k, (r, s, c)]             c y
//   data     a [pixels of x, (r, s, k)]  b [c, (r, s, k)]             c dx
//   weights  a [k, pixels of y]          b [(r, s, c), pixels of y]   c dw
namespace fusor::ops::cuda {
namespace {

using kernels::Conv2dCall;
using kernels::Conv2dOperands;
using kernels::Conv2dPass;
using kernels::Conv2dShape;

constexpr int kDepth = 32;

// A place in an image: `image` its number, i and j its row and column, or where a filter begins.
struct Pixel {
  std::int64_t image;
  int i, j;
};
__device__ Pixel pixel_at(std::int64_t at, std::int64_t h, std::int64_t w) {
  return {at / (h * w), static_cast<int>(at / w % h), static_cast<int>(at % w)};
}

// One element of each filter: row and column, dilated, and channel of the group.
struct Tap {
  int i, j, channel;
};
__device__ Tap tap_at(const Conv2dShape& s, std::int64_t at, std::int64_t channels) {
  const auto tap = static_cast<int>(at / channels);
  return {tap / static_cast<int>(s.s) * static_cast<int>(s.dilation.h),
          tap % static_cast<int>(s.s) * static_cast<int>(s.dilation.w),
          static_cast<int>(at - tap * channels)};
}

// The operands a and b of each pass. row() and column() take indices apart; at() is the address of
// their element, null where it is zero. Where kByRows, neighbouring rows are neighbours in memory,
// else neighbouring columns of one tap.

// x, by pixels of y and taps.
template <class T>
struct Patches {
  static constexpr bool kByRows = false;
  const T* x;  // of the group's first channel
  Conv2dShape s;
  __device__ Pixel row(std::int64_t m) const {
    Pixel p = pixel_at(m, s.p, s.q);
    p.i = p.i * static_cast<int>(s.stride.h) - static_cast<int>(s.before.h);
    p.j = p.j * static_cast<int>(s.stride.w) - static_cast<int>(s.before.w);
    return p;
  }
  __device__ Tap column(std::int64_t d) const { return tap_at(s, d, s.group_c()); }
  __device__ const T* at(const Pixel& p, const Tap& t) const {
    const int i = p.i + t.i, j = p.j + t.j;
    if (i < 0 || i >= s.h || j < 0 || j >= s.w) return nullptr;
    return x + ((p.image * s.h + i) * s.w + j) * s.c + t.channel;
  }
};

// The same with rows and columns exchanged.
template <class T>
struct PatchesByTap {
  static constexpr bool kByRows = true;
  Patches<T> of;
  __device__ Tap row(std::int64_t m) const { return of.column(m); }
  __device__ Pixel column(std::int64_t d) const { return of.row(d); }
  __device__ const T* at(const Tap& t, const Pixel& p) const { return of.at(p, t); }
};

// dy, by pixels of x and taps.
template <class T>
struct Slopes {
  static constexpr bool kByRows = false;
  const T* dy;  // of the group's first filter
  Conv2dShape s;
  __device__ Pixel row(std::int64_t m) const {
    Pixel p = pixel_at(m, s.h, s.w);
    p.i += static_cast<int>(s.before.h), p.j += static_cast<int>(s.before.w);
    return p;
  }
  __device__ Tap column(std::int64_t d) const { return tap_at(s, d, s.group_k()); }
  __device__ const T* at(const Pixel& p, const Tap& t) const {
    const int i = p.i - t.i, j = p.j - t.j;
    const int down = static_cast<int>(s.stride.h), right = static_cast<int>(s.stride.w);
    if (i < 0 || j < 0 || i % down != 0 || j % right != 0) return nullptr;
    if (i / down >= s.p || j / right >= s.q) return nullptr;
    return dy + ((p.image * s.p + i / down) * s.q + j / right) * s.k + t.channel;
  }
};

// Element (m, d) at from + m row_step + d column_step.
template <class T, bool kRows>
struct Matrix {
  static constexpr bool kByRows = kRows;
  const T* from;
  std::int64_t row_step, column_step;
  __device__ std::int64_t row(std::int64_t m) const { return m * row_step; }
  __device__ std::int64_t column(std::int64_t d) const { return d * column_step; }
  __device__ const T* at(std::int64_t m, std::int64_t d) const { return from + m + d; }
};

// w by channel, and by taps and filters.
template <class T>
struct FiltersByChannel {
  static constexpr bool kByRows = true;
  const T* w;  // of the group's first filter
  Conv2dShape s;
  __device__ std::int64_t row(std::int64_t c) const { return c; }
  __device__ std::int64_t column(std::int64_t d) const {
    const std::int64_t tap = d / s.group_k();
    return ((d - tap * s.group_k()) * s.r * s.s + tap) * s.group_c();
  }
  __device__ const T* at(std::int64_t c, std::int64_t d) const { return w + c + d; }
};

// Rows and columns of c, and what is summed over.
struct Extent {
  std::int64_t rows, columns, depth;
};

// What a thread gathers of 64 rows of an operand, by vectors of up to kMost columns. Where a row
// begins is found once.
template <int kMost, class T, class Operand>
class Gathered {
  static constexpr int kWidth = Operand::kByRows ? 1 : kMost;

 public:
  __device__ Gathered(const Operand& from, std::int64_t first, std::int64_t rows)
      : from_(from), rows_(rows - first) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) places_[i] = from.row(first + row(i));
  }

  // to [kTile, tile_row(kDepth)] = columns from `begin` on; zero from `end` and the last row on.
  __device__ void load(std::int64_t begin, std::int64_t end, acc_t<T>* to) const {
#pragma unroll
    for (int i = 0; i < kEachThread; ++i) {
      const int r = row(i), d = column(i);
      Vector<T, kWidth> x{};
      if (r < rows_ && begin + d < end)
        if (const T* at = from_.at(places_[i % kRows], from_.column(begin + d)))
          x = read<kWidth>(at);
#pragma unroll
      for (int v = 0; v < kWidth; ++v)
        to[r * tile_row<acc_t<T>>(kDepth) + d + v] = cuda::load(x.at[v]);
    }
  }

 private:
  static constexpr int kPerRow = kDepth / kWidth, kEachThread = kTile * kPerRow / kTileThreads;
  static constexpr int kRows = Operand::kByRows ? 1 : kEachThread;
  __device__ static int item(int i) { return static_cast<int>(threadIdx.x) + i * kTileThreads; }
  __device__ static int row(int i) {
    return Operand::kByRows ? item(i) % kTile : item(i) / kPerRow;
  }
  __device__ static int column(int i) {
    return (Operand::kByRows ? item(i) / kTile : item(i) % kPerRow) * kWidth;
  }

  const Operand& from_;
  std::int64_t rows_;  // that there are
  decltype(std::declval<const Operand&>().row(0)) places_[kRows];
};

// c (of group blockIdx.y): put(row, column, sum) for a block's tile, of part `part` of the depth.
template <int kWidth, class T, class Product>
__global__ void __launch_bounds__(kTileThreads) product_kernel(Product product) {
  using A = acc_t<T>;
  constexpr int kTileSize = kTile * tile_row<A>(kDepth);
  A* const left = dynamic_shared<A>();
  A* const right = left + kTileSize;
  const Extent e = product.extent();
  const std::int64_t across = (e.columns + kTile - 1) / kTile, down = (e.rows + kTile - 1) / kTile;
  const std::int64_t column = blockIdx.x % across * kTile, row = blockIdx.x / across % down * kTile,
                     part = blockIdx.x / across / down, begin = part * e.depth,
                     end = min(begin + e.depth, product.whole_depth());
  const auto a = product.a(blockIdx.y);
  const auto b = product.b(blockIdx.y);
  const Gathered<kWidth, T, decltype(a)> rows(a, row, e.rows);
  const Gathered<kWidth, T, decltype(b)> columns(b, column, e.columns);
  A sum[kEach][kEach] = {};
  for (std::int64_t d = begin; d < end; d += kDepth) {
    rows.load(d, end, left);
    columns.load(d, end, right);
    __syncthreads();
    multiply_transposed<kDepth>(left, right, kDepth, sum);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i)
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t r = row + tile_y() + kSide * i, c = column + tile_x() + kSide * j;
      if (r < e.rows && c < e.columns) product.put(blockIdx.y, part, r, c, sum[i][j]);
    }
}

template <class T>
struct Forward {
  Conv2dShape s;
  const T *x, *w, *bias;
  T* y;
  bool relu;
  __device__ Extent extent() const { return {s.pixels(), s.group_k(), whole_depth()}; }
  __device__ std::int64_t whole_depth() const { return s.r * s.s * s.group_c(); }
  __device__ auto a(std::int64_t g) const { return Patches<T>{x + g * s.group_c(), s}; }
  __device__ auto b(std::int64_t g) const {
    return Matrix<T, false>{w + g * s.group_k() * whole_depth(), whole_depth(), 1};
  }
  __device__ void put(std::int64_t g, std::int64_t, std::int64_t pixel, std::int64_t k,
                      acc_t<T> sum) const {
    const std::int64_t filter = g * s.group_k() + k;
    if (bias) sum += load(bias[filter]);
    store(y[pixel * s.k + filter], relu && sum < 0 ? acc_t<T>(0) : sum);
  }
};

template <class T>
struct Data {
  Conv2dShape s;
  const T *dy, *w;
  T* dx;
  bool add;
  __device__ Extent extent() const { return {s.n * s.h * s.w, s.group_c(), whole_depth()}; }
  __device__ std::int64_t whole_depth() const { return s.r * s.s * s.group_k(); }
  __device__ auto a(std::int64_t g) const { return Slopes<T>{dy + g * s.group_k(), s}; }
  __device__ auto b(std::int64_t g) const {
    return FiltersByChannel<T>{w + g * s.group_k() * s.r * s.s * s.group_c(), s};
  }
  __device__ void put(std::int64_t g, std::int64_t, std::int64_t pixel, std::int64_t c,
                      acc_t<T> sum) const {
    cuda::put(add, dx[pixel * s.c + g * s.group_c() + c], sum);
  }
};

template <class T>
struct Weights {
  Conv2dShape s;
  const T *dy, *x;
  acc_t<T>* dw;         // [parts, k, r, s, c]
  std::int64_t pixels;  // of a part
  bool add;
  __device__ Extent extent() const { return {s.group_k(), columns(), pixels}; }
  __device__ std::int64_t columns() const { return s.r * s.s * s.group_c(); }
  __device__ std::int64_t whole_depth() const { return s.pixels(); }
  __device__ auto a(std::int64_t g) const { return Matrix<T, true>{dy + g * s.group_k(), 1, s.k}; }
  __device__ auto b(std::int64_t g) const { return PatchesByTap<T>{{x + g * s.group_c(), s}}; }
  __device__ void put(std::int64_t g, std::int64_t part, std::int64_t k, std::int64_t column,
                      acc_t<T> sum) const {
    const std::int64_t filter = part * s.k + g * s.group_k() + k;
    cuda::put(add, dw[filter * columns() + column], sum);
  }
};

template <int kWidth, class T, class Product>
void run_product(Cuda on, std::int64_t rows, std::int64_t columns, std::int64_t parts,
                 std::int64_t groups, const Product& product) {
  run(on,
      {.blocks = ceil_div(rows, kTile) * ceil_div(columns, kTile) * parts,
       .threads = kTileThreads,
       .shared = 2 * kTile * tile_row<acc_t<T>>(kDepth) * sizeof(acc_t<T>),
       .rows = groups},
      product_kernel<kWidth, T, Product>, product);
}

std::int64_t weight_sums(const Conv2dShape& s) {
  return num_weight_sums(
      s, s.groups * ceil_div(s.group_k(), kTile) * ceil_div(s.r * s.s * s.group_c(), kTile));
}

template <class T>
void run_forward(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  const Conv2dShape& s = call.shape;
  const Forward<T> product{s,
                           reinterpret_cast<const T*>(o.a),
                           reinterpret_cast<const T*>(o.b),
                           reinterpret_cast<const T*>(o.bias),
                           reinterpret_cast<T*>(o.c),
                           call.relu};
  if (s.group_c() % kVector<T> == 0 && hold_vectors<kVector<T>>(product.x, product.w))
    return run_product<kVector<T>, T>(on, s.pixels(), s.group_k(), 1, s.groups, product);
  run_product<1, T>(on, s.pixels(), s.group_k(), 1, s.groups, product);
}

template <class T>
void run_data(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  const Conv2dShape& s = call.shape;
  const Data<T> product{s, reinterpret_cast<const T*>(o.a), reinterpret_cast<const T*>(o.b),
                        reinterpret_cast<T*>(o.c), call.add};
  if (s.group_k() % kVector<T> == 0 && hold_vectors<kVector<T>>(product.dy))
    return run_product<kVector<T>, T>(on, s.n * s.h * s.w, s.group_c(), 1, s.groups, product);
  run_product<1, T>(on, s.n * s.h * s.w, s.group_c(), 1, s.groups, product);
}

template <class T>
void run_weights(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  using A = acc_t<T>;
  const Conv2dShape& s = call.shape;
  const std::int64_t parts = weight_sums(s), columns = s.r * s.s * s.group_c();
  auto *dw = reinterpret_cast<A*>(o.c), *sums = reinterpret_cast<A*>(o.workspace);
  const Weights<T> product{s,
                           reinterpret_cast<const T*>(o.a),
                           reinterpret_cast<const T*>(o.b),
                           parts > 1 ? sums : dw,
                           ceil_div(s.pixels(), parts),
                           parts == 1 && call.add};
  run_product<1, T>(on, s.group_k(), columns, parts, s.groups, product);
  if (parts > 1) kernels::sum_rows<A>(on, parts, num_weights(s), sums, dw, call.add, sums);
}

}  // namespace

std::size_t conv2d_tiles_workspace(const Conv2dCall& call) {
  const std::int64_t parts = call.pass == Conv2dPass::weights ? weight_sums(call.shape) : 1;
  if (parts == 1) return 0;
  return static_cast<std::size_t>(parts * num_weights(call.shape)) * size_of(acc_dtype(call.dtype));
}

void conv2d_tiles(Cuda on, const Conv2dCall& call, const Conv2dOperands& o) {
  on_float(call.dtype, [&]<class T> {
    switch (call.pass) {
      case Conv2dPass::forward:
        return run_forward<T>(on, call, o);
      case Conv2dPass::data:
        return run_data<T>(on, call, o);
      case Conv2dPass::weights:
        return run_weights<T>(on, call, o);
    }
  });
}

}  // namespace fusor::ops::cuda
