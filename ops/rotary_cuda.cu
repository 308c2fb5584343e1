#include "ops/cuda_map.h"
#include "ops/rotary_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kTurns = 16;  // positions that share a cosine and a sine

// The table's rows of positions [first, end), as in rotary_cpu.cc. A thread takes one pair of the
// positions [16 a, 16 a + 16).
template <class A>
__global__ void __launch_bounds__(cuda::kMapThreads)
    turn_kernel(double theta, std::int64_t d, bool inverse, std::int64_t first, std::int64_t end,
                A* table) {
  const std::int64_t half = d / 2, a_begin = first / kTurns;
  const std::int64_t rounds = ((end + kTurns - 1) / kTurns - a_begin) * half;
  for (std::int64_t round = cuda::first_round(); round < rounds; round += cuda::rounds_at_once()) {
    const std::int64_t begin = (a_begin + round / half) * kTurns, i = round % half;
    const double w = pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
    const double angle = static_cast<double>(begin) * w;
    const double cos_w = cos(w), sin_w = sin(w);
    double c = cos(angle), s = sin(angle);
    for (std::int64_t p = begin; p < begin + kTurns && p < end; ++p) {
      if (p >= first) {
        A* row = table + (p - first) * d;
        row[i] = static_cast<A>(c);
        row[half + i] = static_cast<A>(inverse ? -s : s);
      }
      const double turned = c * cos_w - s * sin_w;
      s = s * cos_w + c * sin_w;
      c = turned;
    }
  }
}

template <class A>
void turn(Cuda on, const RotaryCall& call, std::int64_t first, std::int64_t end, A* table) {
  const std::int64_t d = call.shape.head_dim;
  const std::int64_t rounds = (cuda::ceil_div(end, kTurns) - first / kTurns) * (d / 2);
  cuda::run(on,
            {.blocks = cuda::loop_blocks(rounds, cuda::kMapThreads), .threads = cuda::kMapThreads},
            turn_kernel<A>, call.theta, d, call.inverse, first, end, table);
}

// Over [rows, heads * half]: a thread takes the elements i of the lower and the upper half of a
// head, and writes them where it read them, so y may be x.
template <class T>
struct Rotate {
  std::int64_t half, turned;  // heads up to `turned` turn, those after it are copied
  std::int64_t cols, first_row, local_len;
  const T* x;
  const acc_t<T>* table;
  T* y;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    using Part = cuda::Vector<T, N>;
    const std::int64_t head = c / half, i = c % half;
    // In vectors: from an index of elements nvcc makes stores of single elements.
    const std::int64_t at = (r * cols + head * 2 * half + i) / N, upper = half / N;
    const Part* from = reinterpret_cast<const Part*>(x) + at;
    Part* to = reinterpret_cast<Part*>(y) + at;
    auto a = cuda::load<N>(from->at), b = cuda::load<N>(from[upper].at);
    if (head < turned) {
      const std::int64_t row = (first_row + r) % local_len;
      const auto cosine = cuda::read<N>(table + row * 2 * half + i),
                 sine = cuda::read<N>(table + row * 2 * half + half + i);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const acc_t<T> ak = a.at[k], bk = b.at[k];
        a.at[k] = ak * cosine.at[k] - bk * sine.at[k];
        b.at[k] = bk * cosine.at[k] + ak * sine.at[k];
      }
    }
    cuda::store<N>(to->at, a);
    cuda::store<N>(to[upper].at, b);
  }
};

}  // namespace

template <class T>
void rotary_table(Cuda on, const RotaryCall& call, acc_t<T>* table) {
  const RowMap& map = call.map;
  const std::int64_t rest = map.local_len - map.chunk_len;
  turn(on, call, map.begin[0], map.begin[0] + map.chunk_len, table);
  if (rest > 0)
    turn(on, call, map.begin[1], map.begin[1] + rest, table + map.chunk_len * call.shape.head_dim);
}

template <class T>
void rotary(Cuda on, const RotaryCall& call, const T* x, const acc_t<T>* table, T* y) {
  constexpr int N = cuda::kVector<T>;
  const AttentionShape& s = call.shape;
  const std::int64_t half = s.head_dim / 2, turned = s.heads + s.kv_heads;
  const std::int64_t heads = x == y ? turned : turned + s.kv_heads;
  const bool vectors = half % N == 0 && cuda::hold_vectors<N>(x, table, y);
  cuda::for_rows<N>(on, s.batch * s.seq_len, heads * half, vectors,
                    Rotate<T>{half, turned, (turned + s.kv_heads) * s.head_dim, call.map.first_row,
                              call.map.local_len, x, table, y});
}

#define FUSOR_ROTARY(T)                                              \
  template void rotary_table<T>(Cuda, const RotaryCall&, acc_t<T>*); \
  template void rotary(Cuda, const RotaryCall&, const T*, const acc_t<T>*, T*);
FUSOR_ROTARY(double)
FUSOR_ROTARY(float)
FUSOR_ROTARY(bf16)
FUSOR_ROTARY(f16)
#undef FUSOR_ROTARY

}  // namespace fusor::ops::kernels
