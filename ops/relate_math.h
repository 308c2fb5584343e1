#pragma once
#include <cstdlib>

#include "ops/relate.h"

// What relate() and its derivative are for one element, or one complex number, on any device.
namespace fusor::ops {

template <Relating kind>
inline constexpr bool kIsComplex = kind == Relating::complex || kind == Relating::rotate;

template <class A>
struct Complex {
  A re, im;
};
template <class A>
constexpr Complex<A> conj(Complex<A> x) {
  return {x.re, -x.im};
}
template <class A>
constexpr Complex<A> operator*(Complex<A> x, Complex<A> y) {
  return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

// Of the kinds that work element by element. sign: -1 where the inverse carries.
template <Relating kind, class A>
constexpr A related(A e, A r, A sign) {
  return kind == Relating::translate ? e + sign * r : e * r;
}
template <Relating kind, class A>
constexpr A entity_slope(A dq, A r) {
  return kind == Relating::translate ? dq : dq * r;
}
template <Relating kind, class A>
constexpr A relation_slope(A dq, A e, A sign) {
  return kind == Relating::translate ? sign * dq : dq * e;
}

// Of the complex kinds, with r as a complex number already conjugated where the inverse carries.
template <class A>
constexpr Complex<A> relation_slope(Complex<A> dq, Complex<A> e, A sign) {
  const Complex<A> d = dq * conj(e);
  return {d.re, sign * d.im};
}
// To the angle whose exp(i angle) is r.
template <class A>
constexpr A angle_slope(Complex<A> dq, Complex<A> e, Complex<A> r, A sign) {
  return sign * (dq * conj(e * r)).im;
}

// Calls f.template operator()<kind>().
template <class F>
void on_relating(Relating kind, F&& f) {
  switch (kind) {
    case Relating::translate:
      return f.template operator()<Relating::translate>();
    case Relating::scale:
      return f.template operator()<Relating::scale>();
    case Relating::complex:
      return f.template operator()<Relating::complex>();
    case Relating::rotate:
      return f.template operator()<Relating::rotate>();
  }
  std::abort();
}

}  // namespace fusor::ops
