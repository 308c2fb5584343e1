#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/bad_samples.h"

namespace fusor {

struct VocabConfig {
  std::vector<std::string> inputs{};  // files, and folders that are searched for files
  std::int64_t size = 8000;           // pieces, special ones included
  bool lower_case = true;             // as the tokenizer that will read the vocabulary
  OnBadSample on_bad_sample = OnBadSample::fail;
};

struct VocabReport {
  std::vector<std::string> pieces{};  // a vocab.txt, line by line; fewer than asked for where the
                                      // input has no more pairs to join
  std::int64_t num_words = 0;         // distinct
  BadSamples bad_lines;               // not UTF-8
};

// A WordPiece vocabulary of the words (io/words.h) of a text: [PAD] [UNK] [CLS] [SEP] [MASK]; then
// each character, alone and with ## in front, but the rarest 0.05 % of the text's; then what byte
// pair encoding joins, in its order (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, by the
// SentencePiece library). The same input gives the same pieces. Throws Error where an input cannot
// be read, holds no word, or `size` has no room for its characters.
VocabReport build_vocab(const VocabConfig& config);

}  // namespace fusor
