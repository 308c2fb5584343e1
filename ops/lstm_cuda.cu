#include "ops/cuda_map.h"
#include "ops/cuda_math.h"
#include "ops/lstm_kernels.h"

namespace fusor::ops::kernels {
namespace {

__device__ inline float tanh_of(float x) { return tanhf(x); }
__device__ inline double tanh_of(double x) { return tanh(x); }

// The four gates of one state.
template <class A>
struct Gates {
  A i, f, g, o;
};
template <class T>
__device__ Gates<acc_t<T>> load_gates(const T* at, std::int64_t hidden) {
  return {cuda::load(at[0]), cuda::load(at[hidden]), cuda::load(at[2 * hidden]),
          cuda::load(at[3 * hidden])};
}
template <class T>
__device__ void store_gates(T* at, std::int64_t hidden, const Gates<acc_t<T>>& x) {
  cuda::store(at[0], x.i);
  cuda::store(at[hidden], x.f);
  cuda::store(at[2 * hidden], x.g);
  cuda::store(at[3 * hidden], x.o);
}

template <class T>
struct Cell {
  LstmStep step;
  const T *gates, *z;
  T* acts;
  acc_t<T>* c;
  T *h, *y;

  template <int>
  __device__ void at(std::int64_t n, std::int64_t j) const {
    using A = acc_t<T>;
    const std::int64_t hidden = step.hidden, row = step.row(n);
    A cell = 0, out = 0;
    if (!step.is_past(n)) {
      Gates<A> x = load_gates(gates + step.at(row, 4 * hidden) + j, hidden);
      if (z) {
        const Gates<A> more = load_gates(z + n * 4 * hidden + j, hidden);
        x = {x.i + more.i, x.f + more.f, x.g + more.g, x.o + more.o};
      }
      x = {cuda::sigmoid(x.i), cuda::sigmoid(x.f), tanh_of(x.g), cuda::sigmoid(x.o)};
      cell = x.i * x.g + (z ? x.f * c[step.at(step.row_before(n), hidden) + j] : A(0));
      out = x.o * tanh_of(cell);
      c[step.at(row, hidden) + j] = cell;
      store_gates(acts + step.at(row, 4 * hidden) + j, hidden, x);
    }
    cuda::store(h[n * hidden + j], out);
    cuda::store(y[step.at(row, hidden) + j], out);
  }
};

template <class T>
struct CellBackward {
  LstmStep step;
  const T *dy, *dh, *acts;
  const acc_t<T>* c;
  acc_t<T>* dc;
  T *dz, *dgates;

  template <int>
  __device__ void at(std::int64_t n, std::int64_t j) const {
    using A = acc_t<T>;
    const std::int64_t hidden = step.hidden, row = step.row(n);
    Gates<A> to{};
    A& to_c = dc[n * hidden + j];
    if (step.is_past(n)) {
      to_c = 0;
    } else {
      const Gates<A> x = load_gates(acts + step.at(row, 4 * hidden) + j, hidden);
      const A t = tanh_of(c[step.at(row, hidden) + j]);
      const A before = step.step > 0 ? c[step.at(step.row_before(n), hidden) + j] : A(0);
      const A d =
          cuda::load(dy[step.at(row, hidden) + j]) + (dh ? cuda::load(dh[n * hidden + j]) : A(0));
      const A of_c = (dh ? to_c : A(0)) + d * x.o * (1 - t * t);
      to = {of_c * x.g * x.i * (1 - x.i), of_c * before * x.f * (1 - x.f),
            of_c * x.i * (1 - x.g * x.g), d * t * x.o * (1 - x.o)};
      to_c = of_c * x.f;
    }
    store_gates(dz + n * 4 * hidden + j, hidden, to);
    store_gates(dgates + step.at(row, 4 * hidden) + j, hidden, to);
  }
};

}  // namespace

template <class T>
void lstm_cell(Cuda on, const LstmStep& step, const T* gates, const T* z, T* acts, acc_t<T>* c,
               T* h, T* y) {
  cuda::for_rows<1>(on, step.samples, step.hidden, true, Cell<T>{step, gates, z, acts, c, h, y});
}

template <class T>
void lstm_cell_backward(Cuda on, const LstmStep& step, const T* dy, const T* dh, const T* acts,
                        const acc_t<T>* c, acc_t<T>* dc, T* dz, T* dgates) {
  cuda::for_rows<1>(on, step.samples, step.hidden, true,
                    CellBackward<T>{step, dy, dh, acts, c, dc, dz, dgates});
}

#define FUSOR_LSTM(T)                                                                        \
  template void lstm_cell(Cuda, const LstmStep&, const T*, const T*, T*, acc_t<T>*, T*, T*); \
  template void lstm_cell_backward(Cuda, const LstmStep&, const T*, const T*, const T*,      \
                                   const acc_t<T>*, acc_t<T>*, T*, T*);
FUSOR_LSTM(double)
FUSOR_LSTM(float)
FUSOR_LSTM(bf16)
FUSOR_LSTM(f16)
#undef FUSOR_LSTM

}  // namespace fusor::ops::kernels
