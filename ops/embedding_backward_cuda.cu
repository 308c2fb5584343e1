#include <utility>

#include "ops/cuda_map.h"
#include "ops/embedding_kernels.h"

// The gradient of an embedding table without atomics, the same bits each time:
//   1. The keys (row of the table, i) of all i are sorted: runs of kRun by counting the smaller
//      keys, then passes that merge kWays runs into one. No two keys are equal, so a key's place
//      is the number of smaller ones: its own place in its run and a binary search in each other.
//   2. Each place is told where the keys of its row begin.
//   3. A warp adds up a piece: dy of at most kPiece keys of one row. The first piece of a row is
//      added to the table, the others are left beside it.
//   4. Those are added to the table in order.
// A row's sum depends on its own dy alone, and is in the order of i as long as there are at most
// kPiece of them. Sorting takes O(n log^2 n), far less than the n cols of the sums; where all ids
// are the same, n / kPiece warps still share the work.
namespace fusor::ops::kernels {
namespace {

using Key = std::uint64_t;
constexpr int kRun = 256;
constexpr int kWays = 4;
constexpr int kPiece = cuda::kWarp;  // each lane looks at one key
constexpr std::uint32_t kNoRow = 0xffffffff;

constexpr Key key_of(std::uint32_t row, std::int64_t i) {
  return Key{row} << 32 | static_cast<std::uint32_t>(i);
}
constexpr std::uint32_t row_of(Key key) { return static_cast<std::uint32_t>(key >> 32); }
constexpr std::int64_t index_of(Key key) { return static_cast<std::uint32_t>(key); }

// The first of the sorted keys [begin, end) that is not less than `key`.
__device__ std::int64_t lower_bound(const Key* keys, std::int64_t begin, std::int64_t end,
                                    Key key) {
  while (begin < end) {
    const std::int64_t middle = begin + (end - begin) / 2;
    if (keys[middle] < key)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

// A block sorts kRun keys.
__global__ void __launch_bounds__(kRun)
    runs_kernel(std::int64_t n, Words words, const std::int32_t* ids, Key* keys) {
  __shared__ Key run[kRun];
  const std::int64_t i = cuda::first_round();
  Key key = ~Key{0};  // past the end: after all others
  if (i < n) {
    const std::int64_t id = ids[i];
    key = key_of(words.hold(id) ? static_cast<std::uint32_t>(id - words.first) : kNoRow, i);
  }
  run[threadIdx.x] = key;
  __syncthreads();
  int place = 0;
#pragma unroll 8
  for (int k = 0; k < kRun; ++k) place += run[k] < key;
  if (i < n) keys[i - threadIdx.x + place] = key;
}

// Each kWays sorted runs of `run` keys become one.
__global__ void __launch_bounds__(cuda::kMapThreads)
    merge_kernel(std::int64_t n, std::int64_t run, const Key* from, Key* to) {
  for (std::int64_t s = cuda::first_round(); s < n; s += cuda::rounds_at_once()) {
    const Key key = from[s];
    const std::int64_t own = s / run * run, begin = s / (run * kWays) * (run * kWays);
    std::int64_t place = begin + s - own;
#pragma unroll
    for (int way = 0; way < kWays; ++way) {
      const std::int64_t first = begin + way * run;
      if (first == own || first >= n) continue;
      const std::int64_t end = first + run < n ? first + run : n;
      place += lower_bound(from, first, end, key) - first;
    }
    to[place] = key;
  }
}

// begins[s]: where the keys of the row at place s begin.
__global__ void __launch_bounds__(cuda::kMapThreads)
    begins_kernel(std::int64_t n, const Key* keys, std::int32_t* begins) {
  for (std::int64_t s = cuda::first_round(); s < n; s += cuda::rounds_at_once())
    begins[s] = static_cast<std::int32_t>(lower_bound(keys, 0, s, key_of(row_of(keys[s]), 0)));
}

template <class A>
struct Workspace {
  Key *keys, *merged;    // [n]
  std::int32_t* begins;  // [n]
  // [ceil(n / kPiece), cols]: the piece at place s is row s / kPiece. A row's pieces but the first
  // begin kPiece places or more after any other such piece, so that no two have the same row.
  A* pieces;

  static constexpr std::size_t begins_bytes(std::int64_t n) {
    return (static_cast<std::size_t>(n) * sizeof(std::int32_t) + 15) / 16 * 16;
  }
  static std::size_t bytes(std::int64_t n, std::int64_t cols) {
    return static_cast<std::size_t>(2 * n) * sizeof(Key) + begins_bytes(n) +
           static_cast<std::size_t>(cuda::ceil_div(n, kPiece) * cols) * sizeof(A);
  }
  Workspace(std::byte* at, std::int64_t n)
      : keys(reinterpret_cast<Key*>(at)),
        merged(keys + n),
        begins(reinterpret_cast<std::int32_t*>(merged + n)),
        pieces(reinterpret_cast<A*>(reinterpret_cast<std::byte*>(begins) + begins_bytes(n))) {}
};

template <int N, class A>
__device__ void add_to(cuda::Vector<A, N>& sum, const cuda::Vector<A, N>& x) {
#pragma unroll
  for (int k = 0; k < N; ++k) sum.at[k] += x.at[k];
}

// A warp's share: `row` of rows of which each warp does kWarp * N columns, lane by lane from
// `column` on.
struct Share {
  std::int64_t row, column;
};
template <int N>
__device__ Share share_of(std::int64_t warp, std::int64_t cols) {
  const std::int64_t warps = (cols + cuda::kWarp * N - 1) / (cuda::kWarp * N);
  const auto lane = static_cast<std::int64_t>(threadIdx.x) % cuda::kWarp;
  return {warp / warps, (warp % warps * cuda::kWarp + lane) * N};
}

template <int N, class T, class A>
__global__ void __launch_bounds__(cuda::kMapThreads)
    pieces_kernel(std::int64_t n, std::int64_t cols, Workspace<A> work, const T* dy, A* dtable) {
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  for (std::int64_t warp = cuda::first_round() / cuda::kWarp;;
       warp += cuda::rounds_at_once() / cuda::kWarp) {
    const auto [s, c] = share_of<N>(warp, cols);
    if (s >= n) return;
    const std::int64_t begin = work.begins[s];
    const std::uint32_t row = row_of(work.keys[s]);
    if ((s - begin) % kPiece != 0 || row == kNoRow) continue;
    const Key mine = s + lane < n ? work.keys[s + lane] : ~Key{0};
    const int size = __popc(__ballot_sync(cuda::kAllLanes, row_of(mine) == row));
    const auto index = static_cast<std::uint32_t>(index_of(mine));
    const bool first = s == begin, has_columns = c < cols;
    A* const to = first ? dtable + row * cols + c : work.pieces + s / kPiece * cols + c;
    cuda::Vector<A, N> sum{};
    if (first && has_columns) sum = cuda::read<N>(to);
#pragma unroll 4
    for (int k = 0; k < size; ++k) {
      const std::int64_t i = __shfl_sync(cuda::kAllLanes, index, k);
      if (has_columns) add_to(sum, cuda::load<N>(dy + i * cols + c));
    }
    if (has_columns) cuda::write<N>(to, sum);
  }
}

// A warp looks for a second piece among kPiece places, and adds it and those after it to the table.
template <int N, class A>
__global__ void __launch_bounds__(cuda::kMapThreads)
    later_pieces_kernel(std::int64_t n, std::int64_t cols, Workspace<A> work, A* dtable) {
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  for (std::int64_t warp = cuda::first_round() / cuda::kWarp;;
       warp += cuda::rounds_at_once() / cuda::kWarp) {
    const auto [piece, c] = share_of<N>(warp, cols);
    const std::int64_t place = piece * kPiece + lane;
    if (place - lane >= n) return;
    const unsigned found =
        __ballot_sync(cuda::kAllLanes, place < n && work.begins[place] == place - kPiece);
    if (found == 0) continue;
    const std::int64_t second = place - lane + __ffs(static_cast<int>(found)) - 1;
    const std::uint32_t row = row_of(work.keys[second]);
    if (row == kNoRow) continue;
    const bool has_columns = c < cols;
    A* const to = dtable + row * cols + c;
    cuda::Vector<A, N> sum{};
    if (has_columns) sum = cuda::read<N>(to);
    int size = cuda::kWarp;
    for (std::int64_t from = piece; size == cuda::kWarp; from += cuda::kWarp) {
      const std::int64_t s = second + (from - piece + lane) * kPiece;
      size = __popc(__ballot_sync(cuda::kAllLanes, s < n && work.begins[s] == second - kPiece));
      const A* const at = work.pieces + from * cols + c;
#pragma unroll 4
      for (int k = 0; k < size; ++k)
        if (has_columns) add_to(sum, cuda::read<N>(at + k * cols));
    }
    if (has_columns) cuda::write<N>(to, sum);
  }
}

cuda::Grid over(std::int64_t rounds) {
  return {.blocks = cuda::loop_blocks(rounds, cuda::kMapThreads), .threads = cuda::kMapThreads};
}

template <int N, class T, class A>
void sum_pieces(Cuda on, std::int64_t n, std::int64_t cols, const Workspace<A>& work, const T* dy,
                A* dtable) {
  const std::int64_t lanes = cuda::ceil_div(cols, cuda::kWarp * N) * cuda::kWarp;
  cuda::run(on, over(n * lanes), pieces_kernel<N, T, A>, n, cols, work, dy, dtable);
  if (n > kPiece)
    cuda::run(on, over(cuda::ceil_div(n, kPiece) * lanes), later_pieces_kernel<N, A>, n, cols, work,
              dtable);
}

}  // namespace

template <class T>
std::size_t embedding_backward_workspace(Cuda, std::int64_t n, std::int64_t cols) {
  return Workspace<acc_t<T>>::bytes(n, cols);
}

template <class T, class A>
void embedding_backward(Cuda on, std::int64_t n, std::int64_t cols, Words words,
                        const std::int32_t* ids, const T* dy, A* dtable, std::byte* workspace) {
  if (n == 0 || cols == 0) return;
  require(n <= std::numeric_limits<std::int32_t>::max() && words.count < kNoRow, "embedding: ", n,
          " ids of ", words.count, " words");
  Workspace<A> work(workspace, n);
  cuda::run(on, {.blocks = cuda::ceil_div(n, kRun), .threads = kRun}, runs_kernel, n, words, ids,
            work.keys);
  for (std::int64_t run = kRun; run < n; run *= kWays) {
    cuda::run(on, over(n), merge_kernel, n, run, work.keys, work.merged);
    std::swap(work.keys, work.merged);
  }
  cuda::run(on, over(n), begins_kernel, n, work.keys, work.begins);
  constexpr int N = cuda::kVectorOf<T, A>;
  if (cols % N == 0 && cuda::hold_vectors<N>(dy, dtable, work.pieces))
    sum_pieces<N>(on, n, cols, work, dy, dtable);
  else
    sum_pieces<1>(on, n, cols, work, dy, dtable);
}

#define FUSOR_EMBEDDING(T, A)                                                                    \
  template std::size_t embedding_backward_workspace<T>(Cuda, std::int64_t, std::int64_t);        \
  template void embedding_backward(Cuda, std::int64_t, std::int64_t, Words, const std::int32_t*, \
                                   const T*, A*, std::byte*);
FUSOR_EMBEDDING(double, double)
FUSOR_EMBEDDING(float, float)
FUSOR_EMBEDDING(bf16, float)
FUSOR_EMBEDDING(f16, float)
#undef FUSOR_EMBEDDING

}  // namespace fusor::ops::kernels
