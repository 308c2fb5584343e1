#pragma once
#include <algorithm>

#include "ops/cuda.h"

// Loops over elements and over rows, for kernels that do little more than read and write: by
// vectors of 16 bytes where every address and width is a multiple of them, else by elements. What
// an element becomes is the same either way.
namespace fusor::ops::cuda {

inline constexpr int kMapThreads = 256;

// Elements that move together where types are mixed: 16 bytes of the widest.
template <class... T>
inline constexpr int kVectorOf = std::min({kVector<T>...});

// Whether vectors of N can be read or written at each of these addresses.
template <int N, class... T>
bool hold_vectors(const T*... at) {
  return (is_aligned(at, N * sizeof(T)) && ...);
}

template <int N, class T>
__device__ Vector<T, N> read(const T* from) {
  return *reinterpret_cast<const Vector<T, N>*>(from);
}
template <int N, class T>
__device__ void write(T* to, const Vector<T, N>& x) {
  *reinterpret_cast<Vector<T, N>*>(to) = x;
}

// N elements as what kernels compute with.
template <int N, class T>
__device__ Vector<acc_t<T>, N> load(const T* from) {
  const Vector<T, N> stored = read<N>(from);
  Vector<acc_t<T>, N> x;
#pragma unroll
  for (int k = 0; k < N; ++k) x.at[k] = load(stored.at[k]);
  return x;
}
template <int N, class T>
__device__ void store(T* to, const Vector<acc_t<T>, N>& x) {
  Vector<T, N> stored;
#pragma unroll
  for (int k = 0; k < N; ++k) store(stored.at[k], x.at[k]);
  write<N>(to, stored);
}
// to = (add ? to : 0) + d
template <int N, class T>
__device__ void put(bool add, T* to, Vector<acc_t<T>, N> d) {
  if (add) {
    const Vector<acc_t<T>, N> before = load<N>(to);
#pragma unroll
    for (int k = 0; k < N; ++k) d.at[k] = before.at[k] + d.at[k];
  }
  store<N>(to, d);
}

template <int N, class F, class Y, class... X>
__device__ void map_vector(const F& f, Y* y, const Vector<X, N>&... x) {
  Vector<acc_t<Y>, N> to;
#pragma unroll
  for (int k = 0; k < N; ++k) to.at[k] = f(x.at[k]...);
  store<N>(y, to);
}
template <int N, class F, class Y, class... X>
__global__ void __launch_bounds__(kMapThreads)
    map_kernel(std::int64_t n, F f, Y* y, const X*... x) {
  for (std::int64_t i = first_round(); i < n / N; i += rounds_at_once())
    map_vector<N>(f, y + i * N, load<N>(x + i * N)...);
  const std::int64_t rest = n / N * N + first_round();
  if (N > 1 && rest < n) map_vector<1>(f, y + rest, load<1>(x + rest)...);
}

// y[i] = f(x[i]...) for i < n, in the types that accumulate. An x may be y.
template <class F, class Y, class... X>
void map(Cuda on, std::int64_t n, const F& f, Y* y, const X*... x) {
  constexpr int N = kVectorOf<Y, X...>;
  const auto start = [&](int size, auto kernel) {
    run(on, {.blocks = loop_blocks(ceil_div(n, size), kMapThreads), .threads = kMapThreads}, kernel,
        n, f, y, x...);
  };
  if (hold_vectors<N>(y, x...))
    start(N, map_kernel<N, F, Y, X...>);
  else
    start(1, map_kernel<1, F, Y, X...>);
}

template <class F>
struct Adding {
  F f;
  template <class A, class... X>
  __device__ A operator()(A y, X... x) const {
    return y + f(x...);
  }
};
// y[i] = (add ? y[i] : 0) + f(x[i]...)
template <class F, class Y, class... X>
void map_into(Cuda on, std::int64_t n, bool add, const F& f, Y* y, const X*... x) {
  if (add)
    map(on, n, Adding<F>{f}, y, static_cast<const Y*>(y), x...);
  else
    map(on, n, f, y, x...);
}

template <int N, class Body>
__global__ void __launch_bounds__(kMapThreads)
    rows_kernel(std::int64_t rows, std::int64_t vectors, Body body) {
  if constexpr (requires { body.start(); }) body.start();
  for (std::int64_t i = first_round(); i < rows * vectors; i += rounds_at_once()) {
    const std::int64_t row = i / vectors;
    body.template at<N>(row, (i - row * vectors) * N);
  }
}

// Calls body.at<N>(r, c), which does columns [c, c + N) of row r, for all of [rows, cols]. N is
// kMost where `vectors` says that the body's addresses hold them in row after row, and cols is a
// multiple; else 1. All threads of a block first call body.start(), where there is one. Divisions
// of 64-bit indices are no harm here: nvcc does them in 32 bits where both numbers fit.
template <int kMost, class Body>
void for_rows(Cuda on, std::int64_t rows, std::int64_t cols, bool vectors, const Body& body) {
  const auto start = [&](int size, auto kernel) {
    run(on, {.blocks = loop_blocks(rows * (cols / size), kMapThreads), .threads = kMapThreads},
        kernel, rows, cols / size, body);
  };
  if (vectors && cols % kMost == 0)
    start(kMost, rows_kernel<kMost, Body>);
  else
    start(1, rows_kernel<1, Body>);
}

}  // namespace fusor::ops::cuda
