#include <cmath>

#include "ops/cpu.h"
#include "ops/relate_kernels.h"
#include "ops/relate_math.h"

namespace fusor::ops::kernels {
namespace {

// -1 where the inverse carries a row.
template <class A>
A sign_of(const RelateSize& s, std::int64_t row) {
  return s.inverse && s.inverse[row] != 0 ? A(-1) : A(1);
}

// The complex numbers of one row [2 half].
template <class T>
struct ComplexRow {
  using A = acc_t<std::remove_const_t<T>>;
  T* at;
  std::int64_t half;
  Complex<A> operator[](std::int64_t c) const {
    return {cpu::load(at[c]), cpu::load(at[half + c])};
  }
  template <bool add>
  void put(std::bool_constant<add> accumulate, std::int64_t c, Complex<A> x) const {
    cpu::put(accumulate, at[c], x.re);
    cpu::put(accumulate, at[half + c], x.im);
  }
};

// The complex number that multiplies entity column c of one row.
template <Relating kind, class T>
Complex<acc_t<T>> factor(const T* r, std::int64_t half, std::int64_t c, acc_t<T> sign) {
  if constexpr (kind == Relating::rotate) {
    const acc_t<T> angle = cpu::load(r[c]);
    return {std::cos(angle), sign * std::sin(angle)};
  } else {
    return {cpu::load(r[c]), sign * cpu::load(r[half + c])};
  }
}

// Calls row(r, kind, accumulate) for all rows.
template <class Row>
void for_each_row(const RelateSize& s, bool add, Row&& row) {
  on_relating(s.kind, [&]<Relating kind> {
    cpu::with_constant(add, [&](auto accumulate) {
      cpu::parallel_for(s.rows, cpu::row_grain(s.cols), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) row.template operator()<kind>(r, accumulate);
      });
    });
  });
}

}  // namespace

template <class T>
void relate(Cpu, const RelateSize& s, const T* e, const T* r, T* q) {
  const std::int64_t half = s.cols / 2;
  for_each_row(s, false, [=]<Relating kind>(std::int64_t row, auto write) {
    const auto sign = sign_of<acc_t<T>>(s, row);
    const T *er = e + row * s.cols, *rr = r + row * (kind == Relating::rotate ? half : s.cols);
    T* qr = q + row * s.cols;
    if constexpr (kIsComplex<kind>) {
      const ComplexRow<const T> from{er, half};
      const ComplexRow<T> to{qr, half};
      for (std::int64_t c = 0; c < half; ++c)
        to.put(write, c, from[c] * factor<kind>(rr, half, c, sign));
    } else {
      for (std::int64_t c = 0; c < s.cols; ++c)
        cpu::store(qr[c], related<kind>(cpu::load(er[c]), cpu::load(rr[c]), sign));
    }
  });
}

template <class T>
void relate_backward_entity(Cpu, const RelateSize& s, const T* dq, const T* r, T* de, bool add) {
  const std::int64_t half = s.cols / 2;
  for_each_row(s, add, [=]<Relating kind>(std::int64_t row, auto accumulate) {
    const auto sign = sign_of<acc_t<T>>(s, row);
    const T *dqr = dq + row * s.cols, *rr = r + row * (kind == Relating::rotate ? half : s.cols);
    T* to = de + row * s.cols;
    if constexpr (kIsComplex<kind>) {
      const ComplexRow<const T> d{dqr, half};
      const ComplexRow<T> out{to, half};
      for (std::int64_t c = 0; c < half; ++c)
        out.put(accumulate, c, d[c] * conj(factor<kind>(rr, half, c, sign)));
    } else {
      for (std::int64_t c = 0; c < s.cols; ++c)
        cpu::put(accumulate, to[c], entity_slope<kind>(cpu::load(dqr[c]), cpu::load(rr[c])));
    }
  });
}

template <class T>
void relate_backward_relation(Cpu, const RelateSize& s, const T* dq, const T* e, const T* r, T* dr,
                              bool add) {
  const std::int64_t half = s.cols / 2;
  for_each_row(s, add, [=]<Relating kind>(std::int64_t row, auto accumulate) {
    const auto sign = sign_of<acc_t<T>>(s, row);
    const std::int64_t width = kind == Relating::rotate ? half : s.cols;
    const T *dqr = dq + row * s.cols, *er = e + row * s.cols, *rr = r + row * width;
    T* to = dr + row * width;
    const ComplexRow<const T> d{dqr, half}, from{er, half};
    if constexpr (kind == Relating::rotate) {
      for (std::int64_t c = 0; c < half; ++c)
        cpu::put(accumulate, to[c],
                 angle_slope(d[c], from[c], factor<kind>(rr, half, c, sign), sign));
    } else if constexpr (kIsComplex<kind>) {
      const ComplexRow<T> out{to, half};
      for (std::int64_t c = 0; c < half; ++c)
        out.put(accumulate, c, relation_slope(d[c], from[c], sign));
    } else {
      for (std::int64_t c = 0; c < s.cols; ++c)
        cpu::put(accumulate, to[c],
                 relation_slope<kind>(cpu::load(dqr[c]), cpu::load(er[c]), sign));
    }
  });
}

#define FUSOR_RELATE(T)                                                                            \
  template void relate(Cpu, const RelateSize&, const T*, const T*, T*);                            \
  template void relate_backward_entity(Cpu, const RelateSize&, const T*, const T*, T*, bool);      \
  template void relate_backward_relation(Cpu, const RelateSize&, const T*, const T*, const T*, T*, \
                                         bool);
FUSOR_RELATE(double)
FUSOR_RELATE(float)
FUSOR_RELATE(bf16)
FUSOR_RELATE(f16)
#undef FUSOR_RELATE

}  // namespace fusor::ops::kernels
