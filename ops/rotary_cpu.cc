#include <algorithm>
#include <cmath>

#include "ops/cpu.h"
#include "ops/rotary_kernels.h"

namespace fusor::ops::kernels {

namespace {

constexpr std::int64_t kTurns = 16;  // positions that share a cosine and a sine

// The table's rows of positions [first, end). Positions p = 16 a + k: each pair takes the cosine
// and sine of 16 a w and turns on from there by w at a time, in double: a function of p alone,
// whatever the first position is.
template <class A>
void turn(const RotaryCall& call, std::int64_t first, std::int64_t end, A* table) {
  const std::int64_t d = call.shape.head_dim, half = d / 2;
  const std::int64_t a_begin = first / kTurns, a_end = (end + kTurns - 1) / kTurns;
  cpu::parallel_for(a_end - a_begin, 1, [=](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double w = std::pow(call.theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
      const double cos_w = std::cos(w), sin_w = std::sin(w);
      for (std::int64_t a = a_begin + from; a < a_begin + to; ++a) {
        const double angle = static_cast<double>(a * kTurns) * w;
        double cos = std::cos(angle), sin = std::sin(angle);
        for (std::int64_t p = a * kTurns; p < std::min(end, (a + 1) * kTurns); ++p) {
          if (p >= first) {
            A* row = table + (p - first) * d;
            row[i] = static_cast<A>(cos);
            row[half + i] = static_cast<A>(call.inverse ? -sin : sin);
          }
          const double turned = cos * cos_w - sin * sin_w;
          sin = sin * cos_w + cos * sin_w;
          cos = turned;
        }
      }
    }
  });
}

}  // namespace

template <class T>
void rotary_table(Cpu, const RotaryCall& call, acc_t<T>* table) {
  const RowMap& map = call.map;
  const std::int64_t rest = map.local_len - map.chunk_len;
  turn(call, map.begin[0], map.begin[0] + map.chunk_len, table);
  if (rest > 0)
    turn(call, map.begin[1], map.begin[1] + rest, table + map.chunk_len * call.shape.head_dim);
}

template <class T>
void rotary(Cpu, const RotaryCall& call, const T* x, const acc_t<T>* table, T* y) {
  const AttentionShape s = call.shape;
  const RowMap map = call.map;
  const std::int64_t d = s.head_dim, half = d / 2, turned = s.heads + s.kv_heads;
  const std::int64_t cols = (s.heads + 2 * s.kv_heads) * d;
  cpu::parallel_for(s.batch * s.seq_len, 8, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const acc_t<T>* cos = table + (map.first_row + r) % map.local_len * d;
      const acc_t<T>* sin = cos + half;
      for (std::int64_t h = 0; h < turned; ++h) {
        const T* from = x + r * cols + h * d;
        T* to = y + r * cols + h * d;
#pragma omp simd  // in place is fine: a pair is read before it is written
        for (std::int64_t i = 0; i < half; ++i) {
          const acc_t<T> a = cpu::load(from[i]), b = cpu::load(from[half + i]);
          cpu::store(to[i], a * cos[i] - b * sin[i]);
          cpu::store(to[half + i], b * cos[i] + a * sin[i]);
        }
      }
      if (x != y)
        std::copy(x + r * cols + turned * d, x + (r + 1) * cols, y + r * cols + turned * d);
    }
  });
}

#define FUSOR_ROTARY(T)                                             \
  template void rotary_table<T>(Cpu, const RotaryCall&, acc_t<T>*); \
  template void rotary(Cpu, const RotaryCall&, const T*, const acc_t<T>*, T*);
FUSOR_ROTARY(double)
FUSOR_ROTARY(float)
FUSOR_ROTARY(bf16)
FUSOR_ROTARY(f16)
#undef FUSOR_ROTARY

}  // namespace fusor::ops::kernels
