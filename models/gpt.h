#pragma once
#include <vector>

#include "models/gpt_config.h"
#include "models/model.h"
#include "models/modules.h"
#include "ops/decode_attention.h"

namespace fusor {

// x + attention(norm(x)), then that + mlp(norm(that)). Radford et al. 2019; with RMSNorm, SwiGLU
// and rotary positions: https://arxiv.org/abs/2307.09288.
struct GptBlock {
  std::string name;  // "block.3"
  NormLayer norm1;
  Linear qkv, out;
  NormLayer norm2;
  Linear up, down;  // up: the hidden layer, led by its gate in a SwiGLU

  GptBlock(const GptConfig&, std::int64_t index);
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

// A decoder-only transformer.
class Gpt final : public Model {
 public:
  explicit Gpt(const GptConfig& config);  // resolved; see gpt_config.h

  const GptConfig& config() const { return config_; }
  Var loss(const TokenBatch& batch, const Pass& pass) const override;
  void visit(const Visitor& visitor) override;

  // Logits [samples * seq_len, vocab] of every token's successor.
  Var logits(const Tensor& tokens, std::int64_t samples, const Pass& pass) const;
  // Appends the tokens (i32 [n], one sequence) to the cache and returns the logits [1, vocab] of
  // the successor of the last. Throws Error when the cache or the model's seq_len would overflow.
  Tensor extend(const Tensor& tokens, GptCache& cache) const;

 private:
  Var trunk(const Var& tokens, const AttentionShape&, const Pass&, GptCache*) const;
  Var attend(const GptBlock&, const Var& x, const AttentionShape&, KvCache*,
             std::int64_t position) const;
  Var mlp(const GptBlock&, const Var& x) const;
  Var head(const Var& hidden) const;
  AttentionShape attention_shape(std::int64_t samples, std::int64_t seq_len) const;

  GptConfig config_;
  Parameter embed_;
  std::optional<Parameter> positions_;  // learned
  std::vector<GptBlock> blocks_;
  NormLayer final_norm_;
  std::optional<Parameter> head_;  // untied
};

}  // namespace fusor
