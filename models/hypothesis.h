#pragma once
#include <cstdint>
#include <vector>

namespace fusor {

// A text that a decoder found, and the logarithm of its probability, or what the decoder makes of
// it.
struct Hypothesis {
  std::vector<std::int32_t> labels;
  double score = 0;
};

}  // namespace fusor
