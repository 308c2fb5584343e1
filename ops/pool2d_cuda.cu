#include "ops/cuda_map.h"
#include "ops/pool2d_kernels.h"

namespace fusor::ops::kernels {
namespace {

// Bodies of for_rows, whose rows are pixels of y, or backward of x.

template <class T>
struct Max {
  Pool2dShape s;
  const T* x;
  T* y;
  std::uint8_t* chosen;
  template <int N>
  __device__ void at(std::int64_t pixel, std::int64_t c) const {
    const std::int64_t image = pixel / (s.p * s.q), p = pixel / s.q % s.p, q = pixel % s.q;
    const Interval rows = s.rows(p), columns = s.columns(q);
    auto best = cuda::load<N>(x + s.x_at(image, rows.begin, columns.begin) + c);
    cuda::Vector<std::uint8_t, N> place;
#pragma unroll
    for (int k = 0; k < N; ++k) place.at[k] = s.place_in_window(p, q, rows.begin, columns.begin);
    for (std::int64_t i = rows.begin; i < rows.end; ++i)
      for (std::int64_t j = columns.begin; j < columns.end; ++j) {
        const auto v = cuda::load<N>(x + s.x_at(image, i, j) + c);
#pragma unroll
        for (int k = 0; k < N; ++k)
          if (v.at[k] > best.at[k] || v.at[k] != v.at[k]) {  // no number is the largest
            best.at[k] = v.at[k];
            place.at[k] = s.place_in_window(p, q, i, j);
          }
      }
    const std::int64_t to = pixel * s.c + c;
    cuda::store<N>(y + to, best);
    if (chosen) cuda::write<N>(chosen + to, place);
  }
};

template <class T>
struct MaxBackward {
  Pool2dShape s;
  const T* dy;
  const std::uint8_t* chosen;
  T* dx;
  bool add;
  template <int N>
  __device__ void at(std::int64_t pixel, std::int64_t c) const {
    const std::int64_t image = pixel / (s.h * s.w), i = pixel / s.w % s.h, j = pixel % s.w;
    const Interval rows = s.rows_of_y(i), columns = s.columns_of_y(j);
    cuda::Vector<acc_t<T>, N> sum{};
    for (std::int64_t p = rows.begin; p < rows.end; ++p)
      for (std::int64_t q = columns.begin; q < columns.end; ++q) {
        const std::int64_t from = s.y_at(image, p, q) + c;
        const std::uint8_t place = s.place_in_window(p, q, i, j);
        const auto d = cuda::load<N>(dy + from);
        const auto places = cuda::read<N>(chosen + from);
#pragma unroll
        for (int k = 0; k < N; ++k)
          if (places.at[k] == place) sum.at[k] += d.at[k];
      }
    cuda::put<N>(add, dx + pixel * s.c + c, sum);
  }
};

template <class T>
struct Mean {
  Pool2dShape s;
  const T* x;
  T* y;
  template <int N>
  __device__ void at(std::int64_t pixel, std::int64_t c) const {
    const std::int64_t image = pixel / (s.p * s.q), p = pixel / s.q % s.p, q = pixel % s.q;
    const Interval rows = s.rows(p), columns = s.columns(q);
    cuda::Vector<acc_t<T>, N> sum{};
    for (std::int64_t i = rows.begin; i < rows.end; ++i)
      for (std::int64_t j = columns.begin; j < columns.end; ++j) {
        const auto v = cuda::load<N>(x + s.x_at(image, i, j) + c);
#pragma unroll
        for (int k = 0; k < N; ++k) sum.at[k] += v.at[k];
      }
    const acc_t<T> share = acc_t<T>(1) / static_cast<acc_t<T>>(s.count(p, q));
#pragma unroll
    for (int k = 0; k < N; ++k) sum.at[k] *= share;
    cuda::store<N>(y + pixel * s.c + c, sum);
  }
};

template <class T>
struct MeanBackward {
  Pool2dShape s;
  const T* dy;
  T* dx;
  bool add;
  template <int N>
  __device__ void at(std::int64_t pixel, std::int64_t c) const {
    using A = acc_t<T>;
    const std::int64_t image = pixel / (s.h * s.w), i = pixel / s.w % s.h, j = pixel % s.w;
    const Interval rows = s.rows_of_y(i), columns = s.columns_of_y(j);
    cuda::Vector<A, N> sum{};
    for (std::int64_t p = rows.begin; p < rows.end; ++p)
      for (std::int64_t q = columns.begin; q < columns.end; ++q) {
        const auto d = cuda::load<N>(dy + s.y_at(image, p, q) + c);
        const auto count = static_cast<A>(s.count(p, q));
#pragma unroll
        for (int k = 0; k < N; ++k) sum.at[k] += d.at[k] / count;
      }
    cuda::put<N>(add, dx + pixel * s.c + c, sum);
  }
};

}  // namespace

template <class T>
void max_pool2d(Cuda on, const Pool2dShape& s, const T* x, T* y, std::uint8_t* chosen) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, s.n * s.p * s.q, s.c,
                    cuda::hold_vectors<N>(x, y) && cuda::hold_vectors<N>(chosen),
                    Max<T>{s, x, y, chosen});
}

template <class T>
void max_pool2d_backward(Cuda on, const Pool2dShape& s, const T* dy, const std::uint8_t* chosen,
                         T* dx, bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, s.n * s.h * s.w, s.c,
                    cuda::hold_vectors<N>(dy, dx) && cuda::hold_vectors<N>(chosen),
                    MaxBackward<T>{s, dy, chosen, dx, add});
}

template <class T>
void mean_pool2d(Cuda on, const Pool2dShape& s, const T* x, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, s.n * s.p * s.q, s.c, cuda::hold_vectors<N>(x, y), Mean<T>{s, x, y});
}

template <class T>
void mean_pool2d_backward(Cuda on, const Pool2dShape& s, const T* dy, T* dx, bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, s.n * s.h * s.w, s.c, cuda::hold_vectors<N>(dy, dx),
                    MeanBackward<T>{s, dy, dx, add});
}

#define FUSOR_POOL2D(T)                                                                          \
  template void max_pool2d(Cuda, const Pool2dShape&, const T*, T*, std::uint8_t*);               \
  template void max_pool2d_backward(Cuda, const Pool2dShape&, const T*, const std::uint8_t*, T*, \
                                    bool);                                                       \
  template void mean_pool2d(Cuda, const Pool2dShape&, const T*, T*);                             \
  template void mean_pool2d_backward(Cuda, const Pool2dShape&, const T*, T*, bool);
FUSOR_POOL2D(double)
FUSOR_POOL2D(float)
FUSOR_POOL2D(bf16)
FUSOR_POOL2D(f16)
#undef FUSOR_POOL2D

}  // namespace fusor::ops::kernels
