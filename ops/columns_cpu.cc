#include "ops/columns_kernels.h"
#include "ops/cpu.h"

namespace fusor::ops::kernels {

template <class T, class To>
void copy_columns(Cpu, std::int64_t rows, std::int64_t cols, ColumnsOf<const T> from,
                  ColumnsOf<To> to, bool add) {
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto adds) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* x = from.data + r * from.row;
        To* y = to.data + r * to.row;
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c) cpu::put(adds, y[c], cpu::load(x[c]));
      }
    });
  });
}

#define FUSOR_COLUMNS(T, To)                                                                     \
  template void copy_columns(Cpu, std::int64_t, std::int64_t, ColumnsOf<const T>, ColumnsOf<To>, \
                             bool);
FUSOR_COLUMNS(double, double)
FUSOR_COLUMNS(float, float)
FUSOR_COLUMNS(bf16, bf16)
FUSOR_COLUMNS(f16, f16)
FUSOR_COLUMNS(float, bf16)
FUSOR_COLUMNS(float, f16)
#undef FUSOR_COLUMNS

}  // namespace fusor::ops::kernels
