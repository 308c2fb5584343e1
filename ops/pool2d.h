#pragma once
#include "ops/conv2d.h"

namespace fusor {

struct Pool2dOptions {
  Hw size{2, 2}, stride{2, 2};
  Hw before{0, 0}, after{0, 0};  // as of Conv2dOptions; smaller than size
};

// y[n,p,q,c] = the largest of x[n, p stride.h - before.h + r, q stride.w - before.w + s, c] over
// the window's r and s that lie inside x. Its gradient goes to the first of them that is the
// largest. x [n, h, w, c]   y [n, p, q, c], p and q as of conv2d. A window has at most 255
// elements.
Var max_pool2d(const Var& x, const Pool2dOptions&);

// Their mean; outside, x counts as 0 with `count_outside`, as PyTorch has it, and else not at all.
Var mean_pool2d(const Var& x, const Pool2dOptions&, bool count_outside = true);

}  // namespace fusor
