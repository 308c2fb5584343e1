#include "ops/cuda_map.h"
#include "ops/pick_rows_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Pick {
  Picks p;
  const T* x;
  T* y;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const std::int64_t b = r / p.picks;
    const std::int64_t row = b * p.seq_len + p.position(b, r - b * p.picks);
    cuda::write<N>(y + r * p.cols + c, cuda::read<N>(x + row * p.cols + c));
  }
};

// A thread looks through all picks of its sequence: few, and the same for a whole row.
template <class T>
struct PickBackward {
  Picks p;
  const T* dy;
  T* dx;
  bool add;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const std::int64_t b = r / p.seq_len, position = r - b * p.seq_len;
    cuda::Vector<acc_t<T>, N> sum{};
    bool picked = false;
    for (std::int64_t i = 0; i < p.picks; ++i) {
      if (p.position(b, i) != position) continue;
      picked = true;
      const auto d = cuda::load<N>(dy + (b * p.picks + i) * p.cols + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += d.at[k];
    }
    if (picked || !add) cuda::put<N>(add, dx + r * p.cols + c, sum);
  }
};

}  // namespace

template <class T>
void pick_rows(Cuda on, const Picks& p, const T* x, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, p.batch * p.picks, p.cols, cuda::hold_vectors<N>(x, y), Pick<T>{p, x, y});
}

template <class T>
void pick_rows_backward(Cuda on, const Picks& p, const T* dy, T* dx, bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, p.batch * p.seq_len, p.cols, cuda::hold_vectors<N>(dy, dx),
                    PickBackward<T>{p, dy, dx, add});
}

#define FUSOR_PICK_ROWS(T)                                   \
  template void pick_rows(Cuda, const Picks&, const T*, T*); \
  template void pick_rows_backward(Cuda, const Picks&, const T*, T*, bool);
FUSOR_PICK_ROWS(double)
FUSOR_PICK_ROWS(float)
FUSOR_PICK_ROWS(bf16)
FUSOR_PICK_ROWS(f16)
#undef FUSOR_PICK_ROWS

}  // namespace fusor::ops::kernels
