#include "ops/columns_kernels.h"
#include "ops/cuda_map.h"

namespace fusor::ops::kernels {
namespace {

template <class T, class To>
struct CopyColumns {
  ColumnsOf<const T> from;
  ColumnsOf<To> to;
  bool add;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    cuda::put<N>(add, to.data + r * to.row + c, cuda::load<N>(from.data + r * from.row + c));
  }
};

}  // namespace

template <class T, class To>
void copy_columns(Cuda on, std::int64_t rows, std::int64_t cols, ColumnsOf<const T> from,
                  ColumnsOf<To> to, bool add) {
  constexpr int N = cuda::kVectorOf<T, To>;
  const bool vectors =
      cuda::hold_vectors<N>(from.data, to.data) && from.row % N == 0 && to.row % N == 0;
  cuda::for_rows<N>(on, rows, cols, vectors, CopyColumns<T, To>{from, to, add});
}

#define FUSOR_COLUMNS(T, To)                                                                      \
  template void copy_columns(Cuda, std::int64_t, std::int64_t, ColumnsOf<const T>, ColumnsOf<To>, \
                             bool);
FUSOR_COLUMNS(double, double)
FUSOR_COLUMNS(float, float)
FUSOR_COLUMNS(bf16, bf16)
FUSOR_COLUMNS(f16, f16)
FUSOR_COLUMNS(float, bf16)
FUSOR_COLUMNS(float, f16)
#undef FUSOR_COLUMNS

}  // namespace fusor::ops::kernels
