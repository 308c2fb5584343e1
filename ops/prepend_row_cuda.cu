#include "ops/cuda_map.h"
#include "ops/prepend_row_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Prepend {
  std::int64_t len, cols;
  const T *x, *row;
  T* y;
  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const std::int64_t batch = r / (len + 1), t = r % (len + 1);
    const T* const from = t == 0 ? row : x + (batch * len + t - 1) * cols;
    cuda::write<N>(y + r * cols + c, cuda::read<N>(from + c));
  }
};

}  // namespace

template <class T>
void prepend_row(Cuda on, std::int64_t batch, std::int64_t len, std::int64_t cols, const T* x,
                 const T* row, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, batch * (len + 1), cols, cuda::hold_vectors<N>(x, row, y),
                    Prepend<T>{len, cols, x, row, y});
}

#define FUSOR_PREPEND_ROW(T) \
  template void prepend_row(Cuda, std::int64_t, std::int64_t, std::int64_t, const T*, const T*, T*);
FUSOR_PREPEND_ROW(double)
FUSOR_PREPEND_ROW(float)
FUSOR_PREPEND_ROW(bf16)
FUSOR_PREPEND_ROW(f16)
#undef FUSOR_PREPEND_ROW

}  // namespace fusor::ops::kernels
