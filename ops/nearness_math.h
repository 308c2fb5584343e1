#pragma once
#include <cstdlib>

#include "ops/nearness.h"

// What nearness is made of: a sum over the units of two rows, of which the result is a function. A
// unit is a column, or the real and the imaginary part of a complex number. Square roots are the
// caller's.
namespace fusor::ops {

// The sign of x; 0 for 0.
template <class A>
constexpr A sign_of(A x) {
  return x > 0 ? A(1) : x < 0 ? A(-1) : A(0);
}

// A column's share of the sum.
template <Nearness kind, class A>
constexpr A column_share(A q, A c) {
  if constexpr (kind == Nearness::dot) return q * c;
  const A apart = q - c;
  if constexpr (kind == Nearness::l2) return apart * apart;
  return apart < 0 ? -apart : apart;
}

// dy d nearness / d x of a column, with the slope of l2 divided by the distance before.
template <Nearness kind, class A>
constexpr A column_slope(A dy, A x, A z) {
  if constexpr (kind == Nearness::dot) return dy * z;
  if constexpr (kind == Nearness::l2) return dy * (z - x);
  return dy * sign_of(z - x);
}

// What takes dy's place in l2's slopes: y is minus the distance.
template <Nearness kind, class A>
constexpr A slope_factor(A dy, A y) {
  if constexpr (kind == Nearness::l2) return y < 0 ? -dy / y : A(0);
  return dy;
}

// Calls f.template operator()<kind>().
template <class F>
void on_nearness(Nearness kind, F&& f) {
  switch (kind) {
    case Nearness::dot:
      return f.template operator()<Nearness::dot>();
    case Nearness::l1:
      return f.template operator()<Nearness::l1>();
    case Nearness::l2:
      return f.template operator()<Nearness::l2>();
    case Nearness::moduli:
      return f.template operator()<Nearness::moduli>();
  }
  std::abort();
}

}  // namespace fusor::ops
