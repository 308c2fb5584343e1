#pragma once
#include "runtime/random.h"
#include "runtime/tensor.h"

namespace fusor::ops {

// Every element of t becomes `value`. Any floating dtype.
void fill(const Tensor& t, double value);

// Element i of t becomes std times the standard normal of index first + i under key, to f32's
// precision in every dtype.
void fill_normal(const Tensor& t, double std, RandomKey key, std::int64_t first = 0);

// to = from, element by element, rounded to to's dtype; both floating, of the same size.
void convert(const Tensor& from, const Tensor& to);

}  // namespace fusor::ops
