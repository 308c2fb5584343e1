#pragma once
#include "ops/tape.h"

namespace fusor {

// The texts of a batch, as ctc_loss reads them. All i32, on the logits' device.
struct CtcTargets {
  Tensor labels;        // [N, L]: row n holds sample n's text in its first label_counts[n] places
  Tensor label_counts;  // [N], each in [0, L]
  Tensor frame_counts;  // [N], each in [0, T]: the frames of the sample, the first of its T rows
};

struct CtcLoss {
  Var sum;            // f64 [1]: the losses of all samples that are possible
  Tensor impossible;  // f64 [1]: how many samples are not
  Tensor each;        // f64 [N]: the loss of each sample, inf where it is impossible
};

// Connectionist temporal classification. A path names a label or blank in each of a sample's
// frames, and spells the text that is left when runs of one label are made one and blanks are
// dropped:
//   loss_n = -log sum_{paths that spell text n} prod_t softmax(logits[n T + t, :])[path_t]
// logits [N T, V]; blank: any label of the V, which no text contains.
// A sample is impossible where no path spells its text, for it has fewer frames than labels plus
// pairs of equal neighbours, or where all that do have probability 0; its gradient is zero.
// Computed in log space, in f64. Consumes the logits: backward writes their gradient over them, so
// nothing as large is allocated; nothing may read them between. Frames past a sample's count are
// not read, and their gradient is zero. Throws Error naming what does not fit, of labels and counts
// where the host can read them.
// Graves et al., "Connectionist temporal classification", ICML 2006.
CtcLoss ctc_loss(const Var& logits, const CtcTargets& targets, std::int64_t blank);

}  // namespace fusor
