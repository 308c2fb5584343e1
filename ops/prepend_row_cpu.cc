#include <algorithm>

#include "ops/cpu.h"
#include "ops/prepend_row_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void prepend_row(Cpu, std::int64_t batch, std::int64_t len, std::int64_t cols, const T* x,
                 const T* row, T* y) {
  cpu::parallel_for(batch, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b)
      std::copy_n(x + b * len * cols, len * cols, std::copy_n(row, cols, y + b * (len + 1) * cols));
  });
}

#define FUSOR_PREPEND_ROW(T) \
  template void prepend_row(Cpu, std::int64_t, std::int64_t, std::int64_t, const T*, const T*, T*);
FUSOR_PREPEND_ROW(double)
FUSOR_PREPEND_ROW(float)
FUSOR_PREPEND_ROW(bf16)
FUSOR_PREPEND_ROW(f16)
#undef FUSOR_PREPEND_ROW

}  // namespace fusor::ops::kernels
