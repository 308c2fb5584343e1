#pragma once
#include <optional>
#include <vector>

#include "models/bert_config.h"
#include "models/model.h"
#include "parallel/vocab_parallel.h"

namespace fusor {

// Predicts the words at some positions: a linear layer, GELU and LayerNorm, then the word
// embeddings, transposed, and a bias.
struct MaskedWordsHead {
  TensorRegion region;
  Parameter dense_w, dense_b;
  NormLayer norm;
  VocabTable words;  // its weight is the embedding's twin
  Parameter bias;    // split as the words are

  MaskedWordsHead(const BertConfig&, const Mesh&);
  // x [rows, width], whole on each rank of tp   logits [rows, words here]
  Var operator()(const Var& x) const;
  void visit(const Visitor&);
};

// Tells the class of a sequence from one vector of it.
struct ClassesHead {
  std::optional<Parameter> pooler_w, pooler_b;  // Pooling::first
  Parameter w, b;
  double dropout;

  explicit ClassesHead(const BertConfig&);
  // x [rows, width] of sequences, whole on each rank of tp   logits [samples, classes]
  Var operator()(const Var& x, const Sequences&, const Pass&) const;
  void visit(const Visitor&);
};

// An encoder of text and its head. Parts: "embed", "block.0" and so on, "head". Heads of attention,
// hidden units and words are split over the mesh's tp. A batch has the fields
//   tokens   i32 [samples, seq_len]
//   types    i32 [samples, seq_len], where the model has types
//   lengths  i32 [samples]: what comes after is padding; may be missing: there is none
// and, to predict words,
//   positions, targets  i32 [samples, predictions]: as io/masking.h makes them
// or, to tell classes,
//   label    i32 [samples]
// Names follow the part: "embed.weight", "positions.weight", "types.weight", "embed.norm.gain",
// "block.0.attn.q.weight", "head.dense.weight".
class Bert final : public Model {
 public:
  // Throws Error where tp cannot split it, cp or ep ask for it, or no such model can be built.
  explicit Bert(const BertConfig&, const Mesh& mesh = {});
  Bert(const Bert&) = delete;  // the head may know the embedding by its address
  Bert& operator=(const Bert&) = delete;

  const BertConfig& config() const { return config_; }
  std::vector<Part> parts() const override;
  Var run(int part, const std::vector<Var>& inputs, const Batch&, const Pass&) const override;
  Shape output_shape(int part, const BatchShape&) const override;
  void visit(int part, const Visitor&) override;
  using Model::visit;
  std::vector<std::string> measures() const override;

  // What the first block reads: [samples seq_len, width]; with sequence parallelism this rank's
  // part of the rows.
  Var embed(const Batch&, const Pass&) const;
  // The last block's rows [samples seq_len, width], whole on each rank of tp.
  Var encode(const Batch&, const Pass&) const;

 private:
  Var head(const Var& x, const Batch&, const Pass&) const;

  BertConfig config_;
  TensorRegion region_;
  VocabTable words_;
  Parameter positions_;             // [seq_len, width]
  std::optional<Parameter> types_;  // [types, width]
  NormLayer norm_;
  std::vector<EncoderBlock> blocks_;
  std::optional<MaskedWordsHead> masked_words_;
  std::optional<ClassesHead> classes_;
};

}  // namespace fusor
