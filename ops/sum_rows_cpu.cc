#include "ops/cpu.h"
#include "ops/sum_rows_kernels.h"

namespace fusor::ops::kernels {

template <class T, class A>
void sum_rows(Cpu, std::int64_t rows, std::int64_t cols, const T* x, A* to, bool add, A*) {
  constexpr std::int64_t kCols = 64;  // a thread's share: whole cache lines of a row
  cpu::parallel_for(cols, kCols, [=](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = end - begin;
    A sum[kCols] = {};
    for (std::int64_t r = 0; r < rows; ++r) {
      const T* row = x + r * cols + begin;
      for (std::int64_t c = 0; c < n; ++c) sum[c] += cpu::load(row[c]);
    }
    for (std::int64_t c = 0; c < n; ++c) to[begin + c] = (add ? to[begin + c] : 0) + sum[c];
  });
}

template void sum_rows(Cpu, std::int64_t, std::int64_t, const double*, double*, bool, double*);
template void sum_rows(Cpu, std::int64_t, std::int64_t, const float*, float*, bool, float*);
template void sum_rows(Cpu, std::int64_t, std::int64_t, const bf16*, float*, bool, float*);
template void sum_rows(Cpu, std::int64_t, std::int64_t, const f16*, float*, bool, float*);

std::int64_t sum_rows_workspace(Cpu, std::int64_t, std::int64_t) { return 0; }

}  // namespace fusor::ops::kernels
