#pragma once
#include <cstdint>

namespace fusor {

// The sizes of a batch for ctc_loss.
struct CtcSizes {
  std::int64_t samples, frames, labels, vocab;  // of each sample at most: frames, labels
  std::int64_t blank;

  constexpr std::int64_t states() const { return 2 * labels + 1; }
};

// The states of one sample's paths: blank, label 0, blank, label 1, ..., blank. From one frame to
// the next a path stays, goes on by one, or by two to a label that differs from the one before.
struct CtcLattice {
  const std::int32_t* labels;
  std::int32_t blank;
  std::int64_t frames, states;

  constexpr std::int32_t symbol(std::int64_t s) const { return s % 2 ? labels[s / 2] : blank; }
  constexpr bool reached_by_two(std::int64_t s) const {
    return s % 2 && s >= 3 && labels[s / 2] != labels[s / 2 - 1];
  }
  // The states [begin, end) that a whole path can be in at frame t.
  constexpr std::int64_t begin(std::int64_t t) const {
    const std::int64_t left = states - 2 * (frames - t);
    return left > 0 ? left : 0;
  }
  constexpr std::int64_t end(std::int64_t t) const {
    return 2 * (t + 1) < states ? 2 * (t + 1) : states;
  }
  constexpr bool holds(std::int64_t t, std::int64_t s) const { return begin(t) <= s && s < end(t); }
};

}  // namespace fusor
