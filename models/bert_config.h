#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/encoder.h"

namespace fusor {

enum class BertHead : std::uint8_t {
  masked_words,  // what stood at some positions: pre-training
  classes        // the class of a document
};
enum class Pooling : std::uint8_t {
  first,  // tanh of a linear layer of the first position, [CLS]: Devlin et al. 2019
  mean    // the mean over a sequence's positions
};

// An encoder of text: Devlin et al. 2019, https://arxiv.org/abs/1810.04805. The defaults are
// BERT-base's, of 109,482,240 parameters with its pooler and no head.
struct BertConfig {
  std::int64_t vocab_size = 30522;
  std::int64_t seq_len = 512;  // the most tokens a sequence may have
  std::int64_t types = 2;      // of tokens: which of two texts they are of; 0: no such embedding
  std::int64_t layers = 12;
  EncoderConfig block{.pre_norm = false, .dropout = 0.1, .norm_eps = 1e-12};
  BertHead head = BertHead::masked_words;
  std::int64_t classes = 2;
  Pooling pooling = Pooling::first;
  double label_smoothing = 0;  // of classes, in training
  bool operator==(const BertConfig&) const = default;
};

// Throws Error when no such model can be built.
void check(const BertConfig&);

// "bert-base"; BERT-large of the same article, and the smaller ones of Turc et al. 2019,
// https://arxiv.org/abs/1908.08962. Throws Error that names the nearest preset.
BertConfig bert_preset(std::string_view name);
std::vector<std::string> bert_preset_names();

}  // namespace fusor
