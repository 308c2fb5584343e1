#pragma once
#include "ops/cuda_norm.h"
#include "ops/sum_rows.h"

// The backward pass of layer_norm and rms_norm: dx, and the sums over blocks of rows that become
// the gradients of gain and bias, from one reading of dy and x.
namespace fusor::ops::cuda {

template <class T>
struct NormBackward {
  const T *dy, *x, *gain;
  const acc_t<T>*mean, *rstd;
  T* dx;  // null: not wanted
  bool add;
  acc_t<T>*dgain, *dbias;    // null: not wanted
  std::int64_t rows_of_sum;  // that a block sums up
};

// Which threads of a block work on which of its rows: teams of of.threads, all of which go from row
// to row in step.
struct Place {
  int thread, team, teams;
  __device__ explicit Place(const Rows& of)
      : thread(static_cast<int>(threadIdx.x) % of.threads),
        team(static_cast<int>(threadIdx.x) / of.threads),
        teams(static_cast<int>(blockDim.x) / of.threads) {}
};

// The sums of kValues values over the threads of each row. All threads of the block call this, with
// `turn` 0 and 1 by turns.
template <int kValues, class A>
__device__ void row_sums(A (&x)[kValues], int threads, int turn) {
  __shared__ A of_warp[2][kValues][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp, warps = threads / kWarp;
#pragma unroll
  for (int i = 0; i < kValues; ++i) x[i] = warp_sum(x[i]);
  if (warps == 1) return;
  if (lane == 0)
    for (int i = 0; i < kValues; ++i) of_warp[turn][i][warp] = x[i];
  __syncthreads();
  const int first = warp / warps * warps;
#pragma unroll
  for (int i = 0; i < kValues; ++i)
    x[i] = warp_sum(lane < warps ? of_warp[turn][i][first + lane] : A(0));
}

// What dx needs of a row. With g = dy gain and z = (x - mean) rstd:
//   dx = rstd (g - mean_c(g) - z mean_c(g z)),   or, not centred, with x for x - mean and 0 for
// mean_c(g).
template <class A>
struct RowSlope {
  A mean, rstd, shift, slope;
  __device__ A dx(A g, A x) const { return rstd * (g - shift - slope * (x - mean)); }
};
template <bool kCentred, class A>
__device__ RowSlope<A> row_slope(A (&sums)[kCentred ? 2 : 1], A mean, A rstd, std::int64_t cols) {
  const auto n = static_cast<A>(cols);
  A shift = 0;
  if constexpr (kCentred) shift = sums[1] / n;
  return {mean, rstd, shift, sums[0] * rstd * rstd / n};
}

// One vector of a row of dy and x.
template <class T, int kWidth>
struct Piece {
  Vector<T, kWidth> dy, x;
  Piece() = default;
  __device__ Piece(const NormBackward<T>& task, std::int64_t at)
      : dy(read<kWidth>(task.dy + at)), x(read<kWidth>(task.x + at)) {}
};

// Adds a vector's share to the sums over rows and, in `sums`, over columns: g (x - mean) and g.
template <class T, int kWidth, int kSums, class A>
__device__ void add_piece(const Piece<T, kWidth>& in, const T* gains, A mean, A rstd,
                          Vector<A, kWidth>& dgain, Vector<A, kWidth>& dbias, A (&sums)[kSums]) {
  const auto gain = read<kWidth>(gains);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    const A dy = load(in.dy.at[j]), x = load(in.x.at[j]) - mean;
    const A g = dy * load(gain.at[j]);
    sums[0] += g * x;
    if constexpr (kSums > 1) sums[1] += g;
    dgain.at[j] += dy * x * rstd;
    dbias.at[j] += dy;
  }
}

template <class T, int kWidth, class A>
__device__ void write_dx(const Piece<T, kWidth>& in, const T* gains, const RowSlope<A>& slope,
                         bool add, T* to) {
  const auto gain = read<kWidth>(gains);
  Vector<T, kWidth> dx{};
  if (add) dx = read<kWidth>(to);
#pragma unroll
  for (int j = 0; j < kWidth; ++j)
    put(add, dx.at[j], slope.dx(load(in.dy.at[j]) * load(gain.at[j]), load(in.x.at[j])));
  write(to, dx);
}

// Writes the sum of all teams' shares, in their order, to `to` [cols].
template <class A, int kWidth, int kPieces>
__device__ void add_teams(const Rows& of, const Place& at, const Vector<A, kWidth> (&mine)[kPieces],
                          A* to) {
  A* const sums = dynamic_shared<A>();  // [cols], where there are teams
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    const int v = at.thread + p * of.threads;
    for (int team = 0; team < at.teams; ++team) {
      if (team > 0) __syncthreads();
      if (team != at.team || v >= of.vectors) continue;
      Vector<A, kWidth> sum = mine[p];
      if (team > 0)
        for (int j = 0; j < kWidth; ++j) sum.at[j] = sums[v * kWidth + j] + sum.at[j];
      write((team + 1 < at.teams ? sums : to) + v * kWidth, sum);
    }
  }
}

inline constexpr int kTeamThreads = 512;  // of a block that has several teams
// Of a block whose threads hold so many pieces of a row.
constexpr int most_threads(int pieces) { return pieces == 1 ? kMostThreads : kMostThreads / 2; }

// Each block has a block of rows. For dx it reads a row again, from the cache, since registers hold
// the sums; meanwhile, of narrow rows, the next ones are on their way.
template <bool kCentred, int kWidth, int kPieces, class T>
__global__ void __launch_bounds__(most_threads(kPieces))
    norm_backward_kernel(Rows of, NormBackward<T> task) {
  using A = acc_t<T>;
  constexpr bool kNarrow = kPieces == 1;
  const Place at(of);
  const std::int64_t begin = blockIdx.x * task.rows_of_sum;
  const auto rows = static_cast<int>(min(task.rows_of_sum, of.rows - begin));
  const int column = at.thread * kWidth, step = of.threads * kWidth;  // between a thread's pieces
  Vector<A, kWidth> dgain[kPieces]{}, dbias[kPieces]{};
  Piece<T, kWidth> in;
  if (kNarrow && at.team < rows && column < of.cols)
    in = {task, (begin + at.team) * of.cols + column};
  for (int r = at.team, turn = 0; r - at.team < rows; r += at.teams, turn = 1 - turn) {
    const std::int64_t row = begin + r, from = row * of.cols;
    const int end = r < rows ? of.cols : 0;  // no columns where the team has run out of rows
    A sums[kCentred ? 2 : 1] = {}, mean = 0, rstd = 0;
    if (r < rows) {
      if constexpr (kCentred) mean = task.mean[row];
      rstd = task.rstd[row];
    }
#pragma unroll
    for (int p = 0; p < kPieces; ++p)
      if (const int c = column + p * step; c < end) {
        if constexpr (!kNarrow) in = {task, from + c};
        add_piece(in, task.gain + c, mean, rstd, dgain[p], dbias[p], sums);
      }
    if (kNarrow && r + at.teams < rows && column < of.cols)
      in = {task, from + at.teams * of.cols + column};
    if (!task.dx) continue;
    row_sums(sums, of.threads, turn);
    const RowSlope<A> slope = row_slope<kCentred>(sums, mean, rstd, of.cols);
#pragma unroll 1
    for (int p = 0; p < kPieces; ++p)
      if (const int c = column + p * step; c < end) {
        const Piece<T, kWidth> again(task, from + c);
        write_dx(again, task.gain + c, slope, task.add, task.dx + from + c);
      }
  }
  if (!task.dgain) return;
  add_teams(of, at, dgain, task.dgain + static_cast<std::int64_t>(blockIdx.x) * of.cols);
  if constexpr (!kCentred) return;
  __syncthreads();
  add_teams(of, at, dbias, task.dbias + static_cast<std::int64_t>(blockIdx.x) * of.cols);
}

// Rows too wide for registers: dx of a row for each block, read twice.
template <bool kCentred, class T>
__global__ void __launch_bounds__(kMostThreads)
    wide_dx_kernel(std::int64_t cols, NormBackward<T> task) {
  using A = acc_t<T>;
  const std::int64_t row = blockIdx.x;
  const T *const dy = task.dy + row * cols, *const x = task.x + row * cols;
  T* const dx = task.dx + row * cols;
  const A mean = kCentred ? task.mean[row] : A(0), rstd = task.rstd[row];
  A sums[kCentred ? 2 : 1] = {};
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
    const A g = load(dy[c]) * load(task.gain[c]);
    sums[0] += g * (load(x[c]) - mean);
    if constexpr (kCentred) sums[1] += g;
  }
  row_sums(sums, static_cast<int>(blockDim.x), 0);
  const RowSlope<A> slope = row_slope<kCentred>(sums, mean, rstd, cols);
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x)
    put(task.add, dx[c], slope.dx(load(dy[c]) * load(task.gain[c]), load(x[c])));
}

// The column sums alone. A thread has a column of a block of rows, blockIdx.y.
template <bool kCentred, class T>
__global__ void column_sums_kernel(std::int64_t rows, std::int64_t cols, NormBackward<T> task) {
  using A = acc_t<T>;
  const std::int64_t c = first_round(), begin = blockIdx.y * task.rows_of_sum,
                     end = min(begin + task.rows_of_sum, rows);
  if (c >= cols) return;
  A gain = 0, bias = 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const A dy = load(task.dy[row * cols + c]);
    gain +=
        dy * (load(task.x[row * cols + c]) - (kCentred ? task.mean[row] : A(0))) * task.rstd[row];
    bias += dy;
  }
  task.dgain[blockIdx.y * cols + c] = gain;
  if constexpr (kCentred) task.dbias[blockIdx.y * cols + c] = bias;
}

template <bool kCentred, int kWidth, int kPieces, class T>
void run_backward(Cuda on, Rows of, std::int64_t sums, const NormBackward<T>& task) {
  of.threads = static_cast<int>(ceil_div(ceil_div(of.vectors, kPieces), kWarp)) * kWarp;
  const int teams = of.threads < kTeamThreads ? kTeamThreads / of.threads : 1;
  const std::size_t shared = teams > 1 ? static_cast<std::size_t>(of.cols) * sizeof(acc_t<T>) : 0;
  run(on, {.blocks = sums, .threads = teams * of.threads, .shared = shared},
      norm_backward_kernel<kCentred, kWidth, kPieces, T>, of, task);
}

template <bool kCentred, int kWidth, class T>
void run_backward(Cuda on, std::int64_t rows, std::int64_t cols, std::int64_t sums,
                  const NormBackward<T>& task) {
  const std::int64_t vectors = cols / kWidth;
  const Rows of{rows, static_cast<int>(cols), static_cast<int>(vectors), 0};
  if (vectors <= most_threads(1)) return run_backward<kCentred, kWidth, 1>(on, of, sums, task);
  if (vectors <= 4 * most_threads(4)) return run_backward<kCentred, kWidth, 4>(on, of, sums, task);
  if (task.dx)
    run(on, {.blocks = rows, .threads = kMostThreads}, wide_dx_kernel<kCentred, T>, cols, task);
  if (task.dgain)
    run(on, {.blocks = ceil_div(cols, 256), .threads = 256, .rows = sums},
        column_sums_kernel<kCentred, T>, rows, cols, task);
}

// dgain and dbias [sums, cols], where sums = num_row_blocks(DeviceKind::cuda, rows).
template <bool kCentred, class T>
void run_norm_backward(Cuda on, std::int64_t rows, std::int64_t cols, NormBackward<T> task) {
  task.rows_of_sum = row_block(DeviceKind::cuda, rows);
  const std::int64_t sums = num_row_blocks(DeviceKind::cuda, rows);
  constexpr std::size_t kOfSums = kVector<T> * sizeof(acc_t<T>);
  if (rows_aligned<T>(cols, task.dy, task.x, task.gain, task.dx) &&
      is_aligned(task.dgain, kOfSums) && is_aligned(task.dbias, kOfSums))
    run_backward<kCentred, kVector<T>>(on, rows, cols, sums, task);
  else
    run_backward<kCentred, 1>(on, rows, cols, sums, task);
}

}  // namespace fusor::ops::cuda
