#pragma once
#include <vector>

#include "ops/adamw.h"

// The update of a table of which a step touches few rows.
namespace fusor::ops {

enum class TableOptimizer : std::uint8_t {
  adagrad,  // Duchi et al. 2011, as torch.optim.Adagrad
  adam      // of the rows touched alone, as torch.optim.SparseAdam
};

// A table and what its optimizer keeps, all [rows, cols] and of one dtype, f32 or f64.
struct TableRows {
  Tensor weights;
  Tensor m;  // of adam; else undefined
  Tensor v;  // adagrad: the sum of squared gradients; adam: their running mean
  TableOptimizer optimizer = TableOptimizer::adagrad;
};

// Gradient rows of a step: entry e is a row for table row ids[e], and none where that is negative.
// Entries lie in parts of equal length, in none of which an id is met twice.
struct RowGradients {
  Tensor ids;                       // i32 [entries]
  Tensor rows;                      // [entries, cols], of the table's dtype; consumed
  std::int64_t part = 0;            // entries of a part
  std::vector<std::int64_t> order;  // the parts, as they are added
};

// One update of the rows that have gradients, each of which is g = grad_scale times the sum of its
// rows in the order of the parts:
//   adagrad   v += g^2   w -= lr g / (sqrt(v) + eps)
//   adam      as AdamW (ops/adamw.h) without decay, with the rates of the run's step
// firsts i32 [rows of the table] is room to work in. rates f64 [kAdamWRates] and grad_scale f64 [1]
// as for adamw().
void sparse_update(const TableRows&, const RowGradients&, const AdamW&, const Tensor& rates,
                   const Tensor& grad_scale, const Tensor& firsts);

}  // namespace fusor::ops
