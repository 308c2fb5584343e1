#pragma once
#include "runtime/random.h"
#include "runtime/tensor.h"

namespace fusor::ops {

// Every element of t becomes `value`. Any floating dtype.
void fill(const Tensor& t, double value);

// Which elements of a row-major whole a flat tensor has: those from element `begin` on of a box
// whose rows of `row` elements begin at first, first + stride, first + 2 stride ... of the whole.
struct BoxRange {
  std::int64_t first = 0, begin = 0;
  std::int64_t row = 1, stride = 1;  // equal: the box is consecutive elements

  constexpr std::int64_t index(std::int64_t i) const {  // in the whole, of element i of the tensor
    i += begin;
    return row == stride ? first + i : first + i / row * stride + i % row;
  }
};

// Element i of t becomes std times the standard normal of index range.index(i) under key, to f32's
// precision in every dtype.
void fill_normal(const Tensor& t, double std, RandomKey key, const BoxRange& range = {});

// to = from, element by element, rounded to to's dtype; both floating, of the same size.
void convert(const Tensor& from, const Tensor& to);

}  // namespace fusor::ops
