#pragma once
#include <vector>

#include "ops/tape.h"

namespace fusor {

// What joins the modalities of each sample: row i of y is the sum of row i of those values whose
// bit is set in present[i],
//   y[i,:] = sum_m share[i,m] values[m][i,:]
// where share is 1 or, with gates, the softmax of gates[i,:] over the modalities that are present.
// Of a row with none y is 0. A value that is not there at all is a Var of no value: it counts as
// absent from every row.
// values [n, width], 1 to 8 of them, one of them there   gates [n, num values], or no value
// present i32 [n]: bit m tells of values[m]   y [n, width]
Var gated_sum(const std::vector<Var>& values, const Var& gates, const Tensor& present);

}  // namespace fusor
