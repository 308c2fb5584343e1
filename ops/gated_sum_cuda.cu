#include "ops/cuda_map.h"
#include "ops/cuda_math.h"
#include "ops/gated_sum_kernels.h"

namespace fusor::ops::kernels {
namespace {

// A thread a row: there are few numbers in it.
template <class T>
struct Shares {
  Modalities all;
  const T* gates;
  acc_t<T>* share;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t) const {
    acc_t<T> e[kMostModalities], most = 0, sum = 0;
    bool any = false;
    for (int m = 0; m < all.count; ++m) {
      e[m] = gates ? cuda::load(gates[r * all.count + m]) : 0;
      if (!all.has(r, m)) continue;
      if (!any || e[m] > most) most = e[m];
      any = true;
    }
    for (int m = 0; m < all.count; ++m) {
      e[m] = !all.has(r, m) ? 0 : gates ? exp(e[m] - most) : acc_t<T>(1);
      sum += e[m];
    }
    for (int m = 0; m < all.count; ++m) share[r * all.count + m] = gates && any ? e[m] / sum : e[m];
  }
};

template <class T>
struct Blend {
  Modalities all;
  const acc_t<T>* share;
  ModalityValues<T> values;
  T* y;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    cuda::Vector<acc_t<T>, N> sum{};
#pragma unroll
    for (int m = 0; m < kMostModalities; ++m) {
      if (m >= all.count || !all.has(r, m)) continue;
      const auto x = cuda::load<N>(values.at[m] + r * all.width + c);
      const acc_t<T> a = share[r * all.count + m];
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += a * x.at[k];
    }
    cuda::store<N>(y + r * all.width + c, sum);
  }
};

template <class T>
struct BlendBackward {
  Modalities all;
  int m;
  const acc_t<T>* share;
  const T* dy;
  T* dx;
  bool add;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    cuda::Vector<acc_t<T>, N> d{};
    if (all.has(r, m)) {
      const acc_t<T> a = share[r * all.count + m];
      d = cuda::load<N>(dy + r * all.width + c);
#pragma unroll
      for (int k = 0; k < N; ++k) d.at[k] *= a;
    }
    cuda::put<N>(add, dx + r * all.width + c, d);
  }
};

constexpr int kThreads = 256;

// A warp a row; lanes take every 32nd column.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gates_kernel(Modalities all, const acc_t<T>* share, ModalityValues<T> values, const T* dy,
                 T* dgates, bool add) {
  const std::int64_t warps = cuda::rounds_at_once() / cuda::kWarp;
  const int lane = static_cast<int>(threadIdx.x) % cuda::kWarp;
  for (std::int64_t r = cuda::first_round() / cuda::kWarp; r < all.rows; r += warps) {
    acc_t<T> d[kMostModalities] = {};
    for (std::int64_t c = lane; c < all.width; c += cuda::kWarp) {
      const acc_t<T> g = cuda::load(dy[r * all.width + c]);
#pragma unroll
      for (int m = 0; m < kMostModalities; ++m)
        if (m < all.count && all.has(r, m)) d[m] += g * cuda::load(values.at[m][r * all.width + c]);
    }
    acc_t<T> mean = 0;
#pragma unroll
    for (int m = 0; m < kMostModalities; ++m) {
      d[m] = cuda::warp_sum(d[m]);
      if (m < all.count) mean += share[r * all.count + m] * d[m];
    }
#pragma unroll
    for (int m = 0; m < kMostModalities; ++m)
      if (m < all.count && lane == m) {
        const std::int64_t at = r * all.count + m;
        cuda::put(add, dgates[at], share[at] * (d[m] - mean));
      }
  }
}

}  // namespace

template <class T>
void modality_shares(Cuda on, const Modalities& all, const T* gates, acc_t<T>* share) {
  cuda::for_rows<1>(on, all.rows, 1, false, Shares<T>{all, gates, share});
}

template <class T>
void gated_sum(Cuda on, const Modalities& all, const acc_t<T>* share,
               const ModalityValues<T>& values, T* y) {
  constexpr int N = cuda::kVector<T>;
  bool vectors = cuda::hold_vectors<N>(y);
  for (int m = 0; m < all.count; ++m)
    vectors = vectors && (!values.at[m] || cuda::hold_vectors<N>(values.at[m]));
  cuda::for_rows<N>(on, all.rows, all.width, vectors, Blend<T>{all, share, values, y});
}

template <class T>
void gated_sum_backward(Cuda on, const Modalities& all, int m, const acc_t<T>* share, const T* dy,
                        T* dx, bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, all.rows, all.width, cuda::hold_vectors<N>(dy, dx),
                    BlendBackward<T>{all, m, share, dy, dx, add});
}

template <class T>
void gates_backward(Cuda on, const Modalities& all, const acc_t<T>* share,
                    const ModalityValues<T>& values, const T* dy, T* dgates, bool add) {
  const std::int64_t blocks = cuda::loop_blocks(all.rows * cuda::kWarp, kThreads);
  cuda::run(on, {.blocks = blocks, .threads = kThreads}, gates_kernel<T>, all, share, values, dy,
            dgates, add);
}

#define FUSOR_GATED_SUM(T)                                                                         \
  template void modality_shares(Cuda, const Modalities&, const T*, acc_t<T>*);                     \
  template void gated_sum(Cuda, const Modalities&, const acc_t<T>*, const ModalityValues<T>&, T*); \
  template void gated_sum_backward(Cuda, const Modalities&, int, const acc_t<T>*, const T*, T*,    \
                                   bool);                                                          \
  template void gates_backward(Cuda, const Modalities&, const acc_t<T>*, const ModalityValues<T>&, \
                               const T*, T*, bool);
FUSOR_GATED_SUM(double)
FUSOR_GATED_SUM(float)
FUSOR_GATED_SUM(bf16)
FUSOR_GATED_SUM(f16)
#undef FUSOR_GATED_SUM

}  // namespace fusor::ops::kernels
