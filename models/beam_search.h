#pragma once
#include <functional>
#include <span>

#include "models/hypothesis.h"

namespace fusor {

// What an autoregressive decoder says of texts that begin with each of `prefixes`, which are of one
// length and begin with the start token: the log-probabilities of the next token,
// [prefixes, vocab].
using NextTokens =
    std::function<std::vector<float>(std::span<const std::vector<std::int32_t>> prefixes)>;

struct BeamSearchConfig {
  std::int32_t start = 0, end = 0;  // tokens
  std::int64_t width = 5;           // prefixes that are kept
  std::int64_t max_length = 0;      // tokens of a text, without start and end
  // A text's score is its log-probability, of its end too, over (its tokens + 1)^length_power.
  double length_power = 0;
};

// At most `width` texts, the best first, without start and end tokens. A text that has max_length
// tokens must end. The search stops where no prefix can still become one of the best. Of equal
// scores the one found first wins. Throws Error where the configuration makes no sense.
std::vector<Hypothesis> beam_search(const NextTokens& next, const BeamSearchConfig& config);

// The texts of a CTC decoder, anew by ctc_weight * its score + (1 - ctc_weight) * the attention
// decoder's, best first: Watanabe et al., "Hybrid CTC/attention architecture for end-to-end speech
// recognition", 2017, as rescoring.
std::vector<Hypothesis> rescored(std::vector<Hypothesis> of_ctc, std::span<const double> attention,
                                 double ctc_weight);

}  // namespace fusor
