#pragma once
#include "ops/tape.h"

namespace fusor {

// The recurrence of an LSTM layer, forward in time, or of one forward and one backward:
//   [i f g o] = gates_t + w h_before;   c = sigmoid(f) c_before + sigmoid(i) tanh(g)
//   h = sigmoid(o) tanh(c)
// h and c begin at zero. The inputs' share of the gates, gates = x u^T + b, is a linear layer
// before it: one product for all frames, with one bias, the sum of PyTorch's two.
// gates [N T, D 4 H]: of sample n the rows n T to n T + counts[n]; of each direction i, f, g and o
// w [D 4 H, H]   counts i32 [N], each in [0, T]   y [N T, D H]; 0 in rows past a sample's count
// D is 1 or 2 (Schuster and Paliwal, "Bidirectional recurrent neural networks", 1997).
// Throws Error where shapes do not fit, or a count that the host can read.
// Hochreiter and Schmidhuber, 1997; Gers et al., "Learning to forget", 2000.
Var lstm(const Var& gates, const Var& w, const Tensor& counts, std::int64_t directions);

}  // namespace fusor
