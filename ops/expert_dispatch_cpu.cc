#include <algorithm>
#include <vector>

#include "ops/cpu.h"
#include "ops/expert_dispatch_kernels.h"

namespace fusor::ops::kernels {
namespace {

// A local row's place among the rows of the whole micro-batch.
std::int64_t place_of(const RowMap& map, std::int64_t row) {
  return map.global_row(row) - map.first_sample * map.seq_len;
}

constexpr std::int64_t kCols = 64;  // summed at a time, in registers

}  // namespace

void global_choices(Cpu, std::int64_t rows, std::int64_t global_rows, std::int64_t k,
                    const std::int32_t* choices, RowMap map, std::int32_t* global) {
  std::fill_n(global, global_rows * k, -1);
  for (std::int64_t r = 0; r < rows; ++r)
    std::copy_n(choices + r * k, k, global + place_of(map, r) * k);
}

// One pass over the choices in the order in which they are served, then one over this rank's.
void route(Cpu, const RoutingSize& s, RowMap map, std::int32_t* global, std::int32_t* slots,
           std::int32_t* sources, std::int32_t* counts) {
  std::fill_n(counts, s.experts, 0);
  for (std::int64_t j = 0; j < s.k; ++j)
    for (std::int64_t r = 0; r < s.global_rows; ++r) {
      std::int32_t& expert = global[r * s.k + j];
      if (expert >= 0 && counts[expert]++ >= s.capacity) expert = -1;
    }
  std::fill_n(sources, s.experts * s.slots_per_expert, -1);
  std::vector<std::int64_t> next(static_cast<std::size_t>(s.experts));
  for (std::size_t e = 0; e < next.size(); ++e)
    next[e] = static_cast<std::int64_t>(e) * s.slots_per_expert;
  for (std::int64_t j = 0; j < s.k; ++j)
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const std::int64_t choice = r * s.k + j;
      const std::int32_t expert = global[place_of(map, r) * s.k + j];
      const std::int64_t slot = expert < 0 ? -1 : next[static_cast<std::size_t>(expert)]++;
      slots[choice] = static_cast<std::int32_t>(slot);
      if (slot >= 0) sources[slot] = static_cast<std::int32_t>(choice);
    }
}

template <class T, class A>
void expert_scatter(Cpu, std::int64_t num_slots, std::int64_t k, std::int64_t cols,
                    const std::int32_t* sources, const A* weights, const T* x, T* buffer,
                    bool add) {
  const auto row = [=](std::int64_t s, auto accumulate) {
    T* to = buffer + s * cols;
    const std::int32_t source = sources[s];
    if (source < 0) {
      if (!add) std::fill_n(to, cols, T{});
      return;
    }
    const A weight = weights ? weights[source] : A(1);
    const T* from = x + source / k * cols;
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c)
      cpu::put(accumulate, to[c], weight * cpu::load(from[c]));
  };
  cpu::parallel_for(num_slots, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t s = begin; s < end; ++s) row(s, accumulate);
    });
  });
}

template <class T, class A>
void expert_gather(Cpu, std::int64_t rows, std::int64_t k, std::int64_t cols,
                   const std::int32_t* slots, const A* weights, const T* buffer, T* y, bool add) {
  const auto columns = [=](std::int64_t r, std::int64_t first, auto accumulate) {
    const std::int64_t n = std::min(kCols, cols - first);
    A sum[kCols] = {};
    for (std::int64_t choice = r * k; choice < (r + 1) * k; ++choice) {
      if (slots[choice] < 0) continue;
      const T* from = buffer + slots[choice] * cols + first;
      const A weight = weights ? weights[choice] : A(1);
      for (std::int64_t c = 0; c < n; ++c) sum[c] += weight * cpu::load(from[c]);
    }
    T* to = y + r * cols + first;
    for (std::int64_t c = 0; c < n; ++c) cpu::put(accumulate, to[c], sum[c]);
  };
  cpu::parallel_for(rows, cpu::row_grain(k * cols), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::int64_t first = 0; first < cols; first += kCols) columns(r, first, accumulate);
    });
  });
}

template <class T, class A>
void expert_dots(Cpu, std::int64_t rows, std::int64_t k, std::int64_t cols,
                 const std::int32_t* slots, const T* dy, const T* buffer, A* dweights, bool add) {
  cpu::parallel_for(rows, cpu::row_grain(k * cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t choice = begin * k; choice < end * k; ++choice) {
      A sum = 0;
      if (slots[choice] >= 0) {
        const T *from = buffer + slots[choice] * cols, *dyr = dy + choice / k * cols;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t c = 0; c < cols; ++c) sum += cpu::load(dyr[c]) * cpu::load(from[c]);
      }
      dweights[choice] = (add ? dweights[choice] : 0) + sum;
    }
  });
}

#define FUSOR_EXPERT_DISPATCH(T, A)                                                                \
  template void expert_scatter(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, \
                               const A*, const T*, T*, bool);                                      \
  template void expert_gather(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*,  \
                              const A*, const T*, T*, bool);                                       \
  template void expert_dots(Cpu, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*,    \
                            const T*, const T*, A*, bool);
FUSOR_EXPERT_DISPATCH(double, double)
FUSOR_EXPERT_DISPATCH(float, float)
FUSOR_EXPERT_DISPATCH(bf16, float)
FUSOR_EXPERT_DISPATCH(f16, float)
#undef FUSOR_EXPERT_DISPATCH

}  // namespace fusor::ops::kernels
