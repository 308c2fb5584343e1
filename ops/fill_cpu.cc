#include <algorithm>

#include "ops/cpu.h"
#include "ops/cpu_random.h"
#include "ops/fill_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

// Elements [0, n) of to become the normals of indices first, first + 1 ...
template <class T>
void draw_normals(std::int64_t n, T* to, double std, RandomKey key, std::int64_t first) {
  alignas(64) std::uint32_t words[cpu::kDrawn];
  alignas(64) float drawn[cpu::kDrawn];
  for (std::int64_t i = 0; i < n;) {
    const std::int64_t start = (first + i) / 4 * 4;  // a counter's first element
    const std::int64_t stop = std::min(n, start + cpu::kDrawn - first);
    cpu::draw(key, start, words);
    cpu::normals(words, drawn);
    for (; i < stop; ++i) cpu::store(to[i], static_cast<acc_t<T>>(std * drawn[first + i - start]));
  }
}

}  // namespace

template <class T>
void fill(Cpu, std::int64_t n, T* to, double value) {
  T element;
  cpu::store(element, static_cast<acc_t<T>>(value));
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = element;
  });
}

template <class T>
void fill_normal(Cpu, std::int64_t n, T* to, double std, RandomKey key, const BoxRange& range) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end;) {
      const std::int64_t left = range.row - (range.begin + i) % range.row;  // of the box's row
      const std::int64_t run = range.row == range.stride ? end - i : std::min(end - i, left);
      draw_normals(run, to + i, std, key, range.index(i));
      i += run;
    }
  });
}

template <class From, class To>
void convert(Cpu, std::int64_t n, const From* from, To* to) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      cpu::store(to[i], static_cast<acc_t<To>>(cpu::load(from[i])));
  });
}

#define FUSOR_FILL(T)                                                                   \
  template void fill(Cpu, std::int64_t, T*, double);                                    \
  template void fill_normal(Cpu, std::int64_t, T*, double, RandomKey, const BoxRange&); \
  template void convert(Cpu, std::int64_t, const T*, double*);                          \
  template void convert(Cpu, std::int64_t, const T*, float*);                           \
  template void convert(Cpu, std::int64_t, const T*, bf16*);                            \
  template void convert(Cpu, std::int64_t, const T*, f16*);
FUSOR_FILL(double)
FUSOR_FILL(float)
FUSOR_FILL(bf16)
FUSOR_FILL(f16)
#undef FUSOR_FILL

}  // namespace fusor::ops::kernels
