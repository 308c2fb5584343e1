#pragma once
#include <span>

#include "models/hypothesis.h"

namespace fusor {

// What a CTC head says of a sample: logits [frames, vocab], of which `blank` is the blank's.
struct CtcOutput {
  std::span<const float> logits;
  std::int64_t vocab;
  std::int32_t blank;

  std::int64_t frames() const { return std::ssize(logits) / vocab; }
};

// The text of the most probable path: the best label of each frame (of equals the lowest), runs
// made one, blanks dropped. The score is the path's log-probability. Throws Error where a frame's
// best logit is not finite, as ctc_prefix_beam() does.
Hypothesis ctc_greedy(const CtcOutput& output);

struct CtcBeamConfig {
  std::int64_t width = 10;            // prefixes kept after each frame
  std::int64_t labels_per_frame = 0;  // the most probable, by which prefixes grow; 0: all
};

// At most `width` texts, the best first; scores are log-probabilities, summed over the paths whose
// prefixes were kept: over all, if `width` is that large. Hannun et al., "First-pass large
// vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014, algorithm 1,
// without a language model. Throws Error where the configuration or the sizes make no sense.
std::vector<Hypothesis> ctc_prefix_beam(const CtcOutput& output, const CtcBeamConfig& config);

}  // namespace fusor
