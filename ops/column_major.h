#pragma once
#include "ops/gemm_kernels.h"

namespace fusor::ops::kernels {

// A GemmCall as libraries that count columns first see it. A row-major matrix [r, c] is to them a
// column-major one [c, r], so they compute the transposed product: d [rows, cols] = op(l) op(r),
// where the left operand l is GemmOperands::b, the right one r is GemmOperands::a, and d is c.
struct ColumnMajor {
  std::int64_t rows, cols, inner;  // of d, and of the sums
  bool left_transposed, right_transposed;

  std::int64_t left_rows() const { return left_transposed ? inner : rows; }  // as it is stored
  std::int64_t left_cols() const { return left_transposed ? rows : inner; }
  std::int64_t right_rows() const { return right_transposed ? cols : inner; }
  std::int64_t right_cols() const { return right_transposed ? inner : cols; }
};

inline ColumnMajor column_major(const GemmCall& call) {
  switch (call.product) {
    case Product::nt:  // y^T [n, m] = w x^T
      return {call.n, call.m, call.k, true, false};
    case Product::nn:  // dx^T [k, m] = w^T dy^T
      return {call.k, call.m, call.n, false, false};
    case Product::tn:  // dw^T [k, n] = x^T dy
      return {call.k, call.n, call.m, false, true};
  }
  raise("no such product");
}

}  // namespace fusor::ops::kernels
