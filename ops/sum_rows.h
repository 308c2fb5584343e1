#pragma once
#include <algorithm>

#include "runtime/tensor.h"

// Sums over rows, as in the gradients of gains and biases. No sum's order depends on the number of
// threads: kernels that also need the rows for something else leave one partial sum for each block
// of rows, and sum_rows adds those up.
namespace fusor::ops {

inline constexpr std::int64_t kRowBlock = 32;  // rows of a block on a CPU
// On a GPU: of many rows two blocks for each of the 132 multiprocessors of an H200, whatever the
// GPU, so that all give the same sums.
constexpr std::int64_t row_block(DeviceKind kind, std::int64_t rows) {
  constexpr std::int64_t kFewest = 8, kMostBlocks = 264;
  if (kind != DeviceKind::cuda) return kRowBlock;
  return std::max(kFewest, (rows + kMostBlocks - 1) / kMostBlocks);
}
constexpr std::int64_t num_row_blocks(DeviceKind kind, std::int64_t rows) {
  const std::int64_t block = row_block(kind, rows);
  return (rows + block - 1) / block;
}

// Uninitialised workspace for the partial sums of `sums` vectors [cols] over `rows` rows:
// [sums, row blocks, cols] in the dtype that accumulates x's.
Tensor row_block_sums(const Tensor& x, std::int64_t sums = 1);

// to [cols] = (add ? to : 0) + sum_r x[r, :], with x [rows, cols] of to's dtype or of the narrower
// one that accumulates into it.
void sum_rows(const Tensor& to, const Tensor& x, bool add);

}  // namespace fusor::ops
