#include <algorithm>
#include <cmath>

#include "ops/cpu.h"
#include "ops/rotary_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void rotary_table(Cpu, const RotaryCall& call, acc_t<T>* table) {
  const std::int64_t d = call.shape.head_dim, half = d / 2;
  cpu::parallel_for(call.shape.seq_len, 16, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t i = 0; i < half; ++i) {
        const double turn =
            std::pow(call.theta, -2.0 * static_cast<double>(i) / static_cast<double>(d));
        const double angle = static_cast<double>(call.first_position + t) * turn;
        table[t * d + i] = static_cast<acc_t<T>>(std::cos(angle));
        table[t * d + half + i] =
            static_cast<acc_t<T>>(call.inverse ? -std::sin(angle) : std::sin(angle));
      }
  });
}

template <class T>
void rotary(Cpu, const RotaryCall& call, const T* x, const acc_t<T>* table, T* y) {
  const AttentionShape s = call.shape;
  const std::int64_t d = s.head_dim, half = d / 2, turned = s.heads + s.kv_heads;
  const std::int64_t cols = (s.heads + 2 * s.kv_heads) * d;
  cpu::parallel_for(s.batch * s.seq_len, 8, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const acc_t<T>* cos = table + r % s.seq_len * d;
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
#undef FUSOR_ROTARY

}  // namespace fusor::ops::kernels
