#pragma once
#include <cstdint>

namespace fusor {

// The rows of an embedding table, or columns of logits, that are the words from `first` on of a
// vocabulary of `whole`; other ranks hold the rest.
struct VocabShard {
  std::int64_t first = 0, whole = 0;  // whole 0: all words are here
};

}  // namespace fusor
