#pragma once
#include "ops/row_map.h"
#include "ops/tape.h"
#include "runtime/random.h"

namespace fusor {

// The key of a step whose number the device holds, so that a step can be replayed: key_at(stem,
// step[0]). step i64 [1].
struct StepKey {
  KeyStem stem;
  Tensor step;
};

// y = x * keep / (1 - p),   keep[r,c] = uniform(k, map.global_row(r) * cols + c) >= p
// x, y [rows, cols], k = key_at(key.stem, key.step[0]). An element is dropped or not under any
// layout alike. The mask is drawn again in backward, never stored. p = 0 returns x and reads no
// key. Throws Error if p is not in [0, 1). Srivastava et al., "Dropout", JMLR 2014.
Var dropout(const Var& x, double p, const StepKey& key, const RowMap& map);

// y = residual + dropout(x), in one pass.
Var dropout_add(const Var& residual, const Var& x, double p, const StepKey& key, const RowMap& map);

namespace ops {

// dropout_add in two, for operators that go on with the sum in the same pass: its checks, and what
// it does about a sum that has been computed.
void check_dropout_add(const Var& residual, const Var& x, double p, const StepKey& key);
Var record_dropout_add(Tensor sum, const Var& residual, const Var& x, double p, const StepKey& key,
                       const RowMap& map);

}  // namespace ops
}  // namespace fusor
