#pragma once
#include <cstdint>
#include <span>

#include "ops/tape.h"
#include "runtime/target.h"

// Losses and measures of classifiers: every class of a row has a share of it.
namespace fusor {

// loss f64 [1] = - sum_n sum_v targets[n,v] log softmax(logits[n,:])[v]
// logits, targets [N, V], targets f32; a row of zeros counts for nothing.
Var soft_cross_entropy(const Var& logits, const Tensor& targets);

// What a sample is of: `labels` and, mixed with another, share of it `labels` and the rest `others`
// (Zhang et al., "mixup", ICLR 2018). Undefined others and shares: not mixed.
struct MixedLabels {
  Tensor labels, others{};  // i32 [N], each in [0, V); labels may be kIgnoredTarget
  Tensor shares{};          // f32 [N], in [0, 1]
};

// targets f32 [N, V] = smoothing / V + (1 - smoothing) (shares onehot(labels)
//                                                       + (1 - shares) onehot(others))
// and 0 in ignored rows. Szegedy et al., "Rethinking the Inception architecture", CVPR 2016. Throws
// Error naming a label that is out of range, where the host can read it.
Tensor soft_targets(const MixedLabels&, std::int64_t classes, double smoothing = 0);

// hits f64 [ks] = for each k, the rows whose label is among the k largest logits; of equal ones the
// first count as larger. logits [N, V]   labels i32 [N], of which ignored ones count for nothing
void top_k_hits(const Tensor& logits, const Tensor& labels, std::span<const std::int64_t> ks,
                const Tensor& hits);

}  // namespace fusor
