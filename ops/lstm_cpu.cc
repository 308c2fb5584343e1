#include <algorithm>

#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/lstm_kernels.h"

namespace fusor::ops::kernels {
namespace {

// A row of a kind for each of the four gates.
template <class T>
struct Gates {
  T *i, *f, *g, *o;
  Gates(T* first, std::int64_t hidden)
      : i(first), f(first + hidden), g(first + 2 * hidden), o(first + 3 * hidden) {}
};

template <class Body>
void for_samples(const LstmStep& step, Body&& body) {
  cpu::parallel_for(step.samples, cpu::row_grain(16 * step.hidden),
                    [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t n = begin; n < end; ++n) body(n);
                    });
}

}  // namespace

template <class T>
void lstm_cell(Cpu, const LstmStep& step, const T* gates, const T* z, T* acts, acc_t<T>* c, T* h,
               T* y) {
  using A = acc_t<T>;
  const std::int64_t hidden = step.hidden;
  for_samples(step, [=](std::int64_t n) {
    const std::int64_t row = step.row(n);
    T *hn = h + n * hidden, *yn = y + step.at(row, hidden);
    if (step.is_past(n)) {
      std::fill_n(hn, hidden, T{});
      std::fill_n(yn, hidden, T{});
      return;
    }
    const Gates<const T> x(gates + step.at(row, 4 * hidden), hidden);
    const Gates<const T> more(z ? z + n * 4 * hidden : nullptr, hidden);
    const Gates<T> act(acts + step.at(row, 4 * hidden), hidden);
    A* const cn = c + step.at(row, hidden);
    const A* const before = z ? c + step.at(step.row_before(n), hidden) : nullptr;
    cpu::with_constant(z != nullptr, [=](auto later) {
      const auto sum = [=](const T& own, const T* of_h, std::int64_t j) {
        return later ? cpu::load(own) + cpu::load(of_h[j]) : cpu::load(own);
      };
#pragma omp simd
      for (std::int64_t j = 0; j < hidden; ++j) {
        const A i = cpu::sigmoid(sum(x.i[j], more.i, j)), f = cpu::sigmoid(sum(x.f[j], more.f, j)),
                g = cpu::tanh(sum(x.g[j], more.g, j)), o = cpu::sigmoid(sum(x.o[j], more.o, j));
        cn[j] = i * g + (later ? f * before[j] : A(0));
        const A out = o * cpu::tanh(cn[j]);
        cpu::store(hn[j], out);
        cpu::store(yn[j], out);
        cpu::store(act.i[j], i);
        cpu::store(act.f[j], f);
        cpu::store(act.g[j], g);
        cpu::store(act.o[j], o);
      }
    });
  });
}

template <class T>
void lstm_cell_backward(Cpu, const LstmStep& step, const T* dy, const T* dh, const T* acts,
                        const acc_t<T>* c, acc_t<T>* dc, T* dz, T* dgates) {
  using A = acc_t<T>;
  const std::int64_t hidden = step.hidden;
  for_samples(step, [=](std::int64_t n) {
    const std::int64_t row = step.row(n);
    T *const dzn = dz + n * 4 * hidden, *const dgn = dgates + step.at(row, 4 * hidden);
    A* const dcn = dc + n * hidden;
    if (step.is_past(n)) {
      std::fill_n(dzn, 4 * hidden, T{});
      std::fill_n(dgn, 4 * hidden, T{});
      std::fill_n(dcn, hidden, A{});
      return;
    }
    const Gates<const T> act(acts + step.at(row, 4 * hidden), hidden);
    const Gates<T> to(dzn, hidden);
    const A* const cn = c + step.at(row, hidden);
    const A* const before = step.step > 0 ? c + step.at(step.row_before(n), hidden) : nullptr;
    const T *dyn = dy + step.at(row, hidden), *dhn = dh ? dh + n * hidden : nullptr;
#pragma omp simd
    for (std::int64_t j = 0; j < hidden; ++j) {
      const A i = cpu::load(act.i[j]), f = cpu::load(act.f[j]), g = cpu::load(act.g[j]),
              o = cpu::load(act.o[j]), t = cpu::tanh(cn[j]);
      const A d = cpu::load(dyn[j]) + (dhn ? cpu::load(dhn[j]) : A(0));
      const A of_c = (dhn ? dcn[j] : A(0)) + d * o * (1 - t * t);
      cpu::store(to.i[j], of_c * g * i * (1 - i));
      cpu::store(to.f[j], before ? of_c * before[j] * f * (1 - f) : A(0));
      cpu::store(to.g[j], of_c * i * (1 - g * g));
      cpu::store(to.o[j], d * t * o * (1 - o));
      dcn[j] = of_c * f;
    }
    std::copy_n(dzn, 4 * hidden, dgn);
  });
}

#define FUSOR_LSTM(T)                                                                       \
  template void lstm_cell(Cpu, const LstmStep&, const T*, const T*, T*, acc_t<T>*, T*, T*); \
  template void lstm_cell_backward(Cpu, const LstmStep&, const T*, const T*, const T*,      \
                                   const acc_t<T>*, acc_t<T>*, T*, T*);
FUSOR_LSTM(double)
FUSOR_LSTM(float)
FUSOR_LSTM(bf16)
FUSOR_LSTM(f16)
#undef FUSOR_LSTM

}  // namespace fusor::ops::kernels
