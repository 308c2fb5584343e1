#pragma once
#include "runtime/tensor.h"

// Sums over rows, as in the gradients of gains and biases. No sum's order depends on the number of
// threads: kernels that also need the rows for something else leave one partial sum for each block
// of kRowBlock rows, and sum_rows adds those up.
namespace fusor::ops {

inline constexpr std::int64_t kRowBlock = 32;
constexpr std::int64_t num_row_blocks(std::int64_t rows) {
  return (rows + kRowBlock - 1) / kRowBlock;
}

// Uninitialised workspace for the partial sums of `sums` vectors [cols] over `rows` rows:
// [sums, row blocks, cols] in the dtype that accumulates x's.
Tensor row_block_sums(const Tensor& x, std::int64_t sums = 1);

// to [cols] = (add ? to : 0) + sum_r x[r, :], with x [rows, cols] of to's dtype or of the narrower
// one that accumulates into it.
void sum_rows(const Tensor& to, const Tensor& x, bool add);

}  // namespace fusor::ops
