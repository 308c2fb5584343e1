#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "io/wordpiece.h"
#include "runtime/random.h"

namespace fusor {

// Masked language modelling (Devlin et al. 2019, https://arxiv.org/abs/1810.04805, section 3.1).
struct MaskingConfig {
  double rate = 0.15;         // of a sequence's tokens, [CLS], [SEP] and [PAD] aside, are predicted
  double as_mask = 0.8;       // of these, those that are shown as [MASK]
  double as_random = 0.1;     // as any token of the vocabulary; the rest as they are
  bool whole_words = false;   // the pieces of a word are chosen together
  std::int64_t capacity = 0;  // the most predictions of a sequence
};

// Chooses what a model is to predict of a sequence, and hides it. A pure function of key, sample
// and tokens: position p of a sample has the random numbers philox(key, p, sample).
class Masking {
 public:
  // Throws Error that names the value that makes no sense.
  Masking(const MaskingConfig& config, const WordPiece& vocabulary);

  // round(rate x candidates) tokens are chosen, at least one if there is a candidate and at most
  // `capacity`; whole words are left out where they would not fit. Overwrites these tokens; writes
  // where they are, ascending, and what they were, then position 0 and kIgnoredTarget to the end.
  // tokens [seq_len]   positions, targets [capacity]
  void operator()(RandomKey key, std::uint64_t sample, std::span<std::int32_t> tokens,
                  std::span<std::int32_t> positions, std::span<std::int32_t> targets) const;

  const MaskingConfig& config() const { return config_; }

 private:
  // The positions that are chosen together, and a random number that orders them.
  struct Candidate {
    std::uint32_t order;
    std::int32_t first, count;
  };
  std::vector<Candidate> candidates(RandomKey key, std::uint64_t sample,
                                    std::span<const std::int32_t> tokens) const;
  std::vector<std::int32_t> choose(std::vector<Candidate> candidates) const;
  std::int32_t shown(RandomKey key, std::uint64_t sample, std::int32_t position,
                     std::int32_t token) const;
  bool is_special(std::int32_t id) const { return id == cls_ || id == sep_ || id == pad_; }

  MaskingConfig config_;
  std::int64_t vocab_size_;
  std::int32_t cls_, sep_, pad_, mask_;
  std::vector<bool> continues_;  // [vocab]
};

}  // namespace fusor
