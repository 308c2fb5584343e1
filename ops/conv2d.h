#pragma once
#include "ops/tape.h"

namespace fusor {

// Rows and columns.
struct Hw {
  std::int64_t h, w;
  auto operator<=>(const Hw&) const = default;
};

struct Conv2dOptions {
  Hw stride{1, 1};
  Hw before{0, 0}, after{0, 0};  // rows and columns of zeros above and left, below and right
  Hw dilation{1, 1};
  std::int64_t groups = 1;  // divides c and k; c: depthwise
  bool relu = false;        // of the result, in the same pass

  // As many zeros on each side.
  static Conv2dOptions padded(std::int64_t padding, std::int64_t stride = 1) {
    return {.stride = {stride, stride}, .before = {padding, padding}, .after = {padding, padding}};
  }
};

// y[n,p,q,k] = bias[k] + sum_{r,s,i} x[n, p stride.h - before.h + r dilation.h, ..., first + i]
//                                    w[k,r,s,i],   first = k / (k_all / groups) c / groups
// x [n, h, w, c]   w [k, r, s, c / groups]   bias [k], or no value for none   y [n, p, q, k]
// with p = (h + before.h + after.h - dilation.h (r - 1) - 1) / stride.h + 1, rounded down, and q
// likewise. x is 0 outside. One dimension is h = r = 1. On a CPU the bits of w's gradient depend on
// the number of threads. Throws Error naming the shapes where they do not fit.
Var conv2d(const Var& x, const Var& w, const Var& bias = {}, const Conv2dOptions& = {});

// [n, p, q, k] of such a convolution.
Shape conv2d_shape(const Shape& x, const Shape& w, const Conv2dOptions& = {});

}  // namespace fusor
