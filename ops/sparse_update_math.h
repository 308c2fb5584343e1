#pragma once
#include <cmath>

#include "ops/sparse_update.h"

namespace fusor::ops {

// The constants of an update, and one element's, on any device.
template <class A>
struct RowUpdate {
  A scale, lr, eps, beta2, new1, new2, rate, root2;

  // rates and grad_scale: as of ops/adamw.h
  constexpr RowUpdate(const AdamW& f, const double* rates, double grad_scale)
      : scale(static_cast<A>(grad_scale)),
        lr(static_cast<A>(rates[0])),
        eps(static_cast<A>(f.eps)),
        beta2(static_cast<A>(f.beta2)),
        new1(static_cast<A>(1 - f.beta1)),
        new2(static_cast<A>(1 - f.beta2)),
        rate(static_cast<A>(rates[0] / rates[1])),
        root2(static_cast<A>(1 / std::sqrt(rates[2]))) {}

  constexpr void adagrad(A gradient, A& w, A& v) const {
    const A g = gradient * scale;
    v += g * g;
    w -= lr * g / (std::sqrt(v) + eps);
  }
  constexpr void adam(A gradient, A& w, A& m, A& v) const {
    const A g = gradient * scale;
    m += new1 * (g - m);
    v = beta2 * v + new2 * g * g;
    w -= rate * m / (std::sqrt(v) * root2 + eps);
  }
};

}  // namespace fusor::ops
