#pragma once
#include "launch/config.h"
#include "launch/key.h"

// The keys of BERT: see visit_keys().
namespace fusor {

// clang-format off
template <class C, class F>
void visit_bert_model_keys(C& c, F&& f) {
  auto& m = c.bert;
  f(fixed_key("model.vocab_size", "word pieces in the vocabulary", 1, 1 << 24), m.vocab_size);
  f(fixed_key("model.seq_len", "most tokens of a sequence", 2, 1 << 20), m.seq_len);
  f(fixed_key("model.types", "of tokens: which of two texts they are of (0: none)", 0, 1 << 10), m.types);
  f(fixed_key("model.layers", "transformer blocks", 1, 1 << 12), m.layers);
  f(fixed_key("model.width", "width of the residual stream", 1, 1 << 18), m.block.width);
  f(fixed_key("model.heads", "attention heads", 1, 1 << 12), m.block.heads);
  f(fixed_key("model.mlp_hidden", "hidden width of the MLP", 1, 1 << 20), m.block.mlp_hidden);
  f(fixed_key("model.head", "what it tells: words that are masked, or the class of a document"), m.head);
  f(fixed_key("model.classes", "classes to tell apart", 2, 1 << 24), m.classes);
  f(fixed_key("model.pooling", "what the class is read from: the first token, or the mean"), m.pooling);
  f(key("model.label_smoothing", "share of a class's target that goes to all alike", 0, 1), m.label_smoothing);
  f(key("model.dropout", "dropout probability", 0, 1), m.block.dropout);
  f(fixed_key("model.norm_eps", "added to the variance in norms"), m.block.norm_eps);
  f(key("model.init_std", "standard deviation of fresh weights"), m.block.init_std);
}

template <class C, class F>
void visit_bert_data_keys(C& c, F&& f) {
  auto& d = c.documents;
  f(fixed_key("data.seq_len", "tokens per sample, [CLS] included (0: model.seq_len)"), c.data.seq_len);
  f(key("data.mask_rate", "share of a sample's tokens that are to be predicted", 0, 1), d.mask_rate);
  f(key("data.predictions", "most such tokens of a sample (0: mask_rate x seq_len, rounded up)", 0, 1 << 20), d.predictions);
  f(key("data.whole_words", "the pieces of a word are masked together"), d.whole_words);
  f(key("data.on_bad_sample", "fail, or skip: leave the document out and count it"), d.on_bad_sample);
}
// clang-format on

}  // namespace fusor
