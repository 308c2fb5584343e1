#pragma once
#include <variant>
#include <vector>

#include "models/gpt_config.h"
#include "models/model.h"
#include "models/modules.h"
#include "ops/decode_attention.h"
#include "ops/row_map.h"
#include "parallel/experts.h"
#include "parallel/vocab_parallel.h"

namespace fusor {

// x + attention(norm(x)), then that + mlp(norm(that)). Radford et al. 2019; with RMSNorm, SwiGLU
// and rotary positions: https://arxiv.org/abs/2307.09288.
struct GptBlock {
  std::string name;  // "block.3"
  NormLayer norm1;
  ColumnLinear qkv;
  RowLinear out;
  NormLayer norm2;
  std::variant<Mlp, Experts> mlp;

  GptBlock(const GptConfig&, std::int64_t index, const Mesh&);
  void visit(const Visitor&);
};

// Keys and values of the tokens seen so far, one cache a layer.
struct GptCache {
  std::vector<KvCache> layers;
  std::int64_t capacity = 0;  // tokens
  std::int64_t length = 0;    // tokens held

  // For one sequence; allocated on `device`.
  GptCache(const GptConfig&, std::int64_t capacity, DType dtype, const Device& device);
};

// A micro-batch of token sequences of equal length: fields "tokens" and "targets", i32 [samples,
// rows.local_len]: the positions that a rank of context parallelism holds of each, and the token to
// predict at each (kIgnoredTarget: none).
BatchShape token_batch(std::int64_t samples, const RowMap& rows);

// A decoder-only transformer. Attention heads, hidden units and words are split over the mesh's tp,
// experts over its ep, the positions of each sequence over its cp: see RowMap::zigzag.
class Gpt final : public Model {
 public:
  // config: resolved. Throws Error where tp or ep cannot split it. See gpt_config.h.
  explicit Gpt(const GptConfig& config, const Mesh& mesh = {});
  Gpt(const Gpt&) = delete;  // the head may know the embedding by its address
  Gpt& operator=(const Gpt&) = delete;

  const GptConfig& config() const { return config_; }
  // "embed", "block.0" and so on, "head".
  std::vector<Part> parts() const override;
  Var run(int part, const std::vector<Var>& inputs, const Batch&, const Pass&) const override;
  Shape output_shape(int part, const BatchShape&) const override;
  void visit(int part, const Visitor& visitor) override;
  using Model::visit;

  // Logits [tokens, vocab] of the successors of this rank's tokens, of the words of this rank.
  Var logits(const Tensor& tokens, std::int64_t samples, const Pass& pass) const;
  // Appends the tokens (i32 [n], one sequence) to the cache and returns the logits [1, vocab] of
  // the successor of the last. With tp = cp = 1. Throws Error when the cache or the model's
  // seq_len would overflow.
  Tensor extend(const Tensor& tokens, GptCache& cache) const;

 private:
  // A part's rows: how they fall into sequences, and where they stand; those outside a tensor
  // region are split over tp with sequence parallelism.
  struct Rows {
    AttentionShape shape;
    RowMap map, outside;
  };
  Rows rows_of(std::int64_t samples, std::int64_t seq_len, const Pass&) const;
  Rows rows_of(const BatchShape&, const Pass&) const;
  double dropout_of(const Pass&) const;

  Var embed(const Var& tokens, const Rows&, const Pass&) const;
  Var block(std::size_t index, const Var& x, const Rows&, const Pass&, KvCache*) const;
  Var attend(const GptBlock&, const Var& x, const Rows&, KvCache*) const;
  Var mlp(const GptBlock&, const Var& x, const Rows&, const Pass&, KvCache*) const;
  Var head(const Var& hidden) const;

  GptConfig config_;
  TensorRegion region_;
  Group cp_;
  VocabTable embed_;
  std::optional<Parameter> positions_;  // learned
  std::vector<GptBlock> blocks_;
  NormLayer final_norm_;
  VocabTable head_;  // its weight is the embedding's twin where they are tied
};

}  // namespace fusor
