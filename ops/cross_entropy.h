#pragma once
#include "ops/gather_ranks.h"
#include "ops/tape.h"
#include "ops/vocab_shard.h"
#include "runtime/target.h"

namespace fusor {

// loss f64 [1] = sum_n -log softmax(logits[n,:])[targets[n]] over rows n that are not ignored.
// logits [N, V]   targets i32 [N], each in [0, V) or kIgnoredTarget
// Consumes the logits: backward writes their gradient over them, so nothing as large is allocated;
// nothing may read them between. Throws Error naming a target that is out of range, where the host
// can read it.
Var cross_entropy(const Var& logits, const Tensor& targets);

// The same of logits whose columns lie on several ranks; this one's [N, shard] are the words of
// `shard`, and targets are of the whole vocabulary. `gather` maps what a rank knows of each row,
// f64 [2, N]: the log-sum-exp of its logits, and the target's logit where it has that, else 0; to
// what all ranks know, [ranks, 2, N]. The loss is the same on each.
Var cross_entropy(const Var& logits, const Tensor& targets, const VocabShard& shard,
                  const GatherRanks& gather);

}  // namespace fusor
