#include "models/gpt.h"

#include <cmath>

#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rotary.h"
#include "ops/swiglu.h"

namespace fusor {
namespace {

// Projections into the residual stream start smaller, so that its variance does not grow with
// depth.
double residual_std(const GptConfig& c) {
  return c.init_std / std::sqrt(2 * static_cast<double>(c.layers));
}

std::vector<Piece> qkv_parts(const std::string& name, const GptConfig& c) {
  const std::int64_t d = c.head_dim();
  return {{name + ".q", c.heads * d}, {name + ".k", c.kv_heads * d}, {name + ".v", c.kv_heads * d}};
}

std::vector<Piece> up_parts(const std::string& name, const GptConfig& c) {
  if (c.activation == Activation::gelu) return {{name + ".up", c.mlp_hidden}};
  return {{name + ".gate", c.mlp_hidden}, {name + ".up", c.mlp_hidden}};
}

RandomKey dropout_key(const Pass& pass, const std::string& layer) {
  return random_key(pass.seed, "dropout/" + layer, static_cast<std::uint64_t>(pass.step));
}

}  // namespace

GptBlock::GptBlock(const GptConfig& c, std::int64_t index)
    : name("block." + std::to_string(index)),
      norm1(name + ".norm1", c),
      qkv(qkv_parts(name + ".attn", c), c.width, c.init_std, c.bias),
      out(name + ".attn.out", c.heads * c.head_dim(), c.width, residual_std(c), c.bias),
      norm2(name + ".norm2", c),
      up(up_parts(name + ".mlp", c), c.width, c.init_std, c.bias),
      down(name + ".mlp.down", c.mlp_hidden, c.width, residual_std(c), c.bias) {}

void GptBlock::visit(const Visitor& f) {
  norm1.visit(f), qkv.visit(f), out.visit(f);
  norm2.visit(f), up.visit(f), down.visit(f);
}

GptCache::GptCache(const GptConfig& c, std::int64_t capacity, DType dtype, const Device& device)
    : capacity(capacity) {
  const Shape shape{1, capacity, c.kv_heads * c.head_dim()};
  const Scope scope(device, "kv cache");
  for (std::int64_t i = 0; i < c.layers; ++i)
    layers.push_back({Tensor(shape, dtype, device), Tensor(shape, dtype, device)});
}

Gpt::Gpt(const GptConfig& config)
    : config_(config),
      embed_("embed.weight", {config.vocab_size, config.width}, {.std = config.init_std}),
      final_norm_("final_norm", config) {
  const GptConfig& c = config_;
  if (c.positions == Positions::learned)
    positions_.emplace("positions.weight", Shape{c.seq_len, c.width}, Fill{.std = c.init_std});
  blocks_.reserve(static_cast<std::size_t>(c.layers));
  for (std::int64_t i = 0; i < c.layers; ++i) blocks_.emplace_back(c, i);
  if (!c.tied_embeddings)
    head_.emplace("head.weight", Shape{c.vocab_size, c.width}, Fill{.std = c.init_std});
}

void Gpt::visit(const Visitor& f) {
  f(embed_);
  if (positions_) f(*positions_);
  for (GptBlock& block : blocks_) block.visit(f);
  final_norm_.visit(f);
  if (head_) f(*head_);
}

AttentionShape Gpt::attention_shape(std::int64_t samples, std::int64_t seq_len) const {
  return {.batch = samples,
          .seq_len = seq_len,
          .heads = config_.heads,
          .kv_heads = config_.kv_heads,
          .head_dim = config_.head_dim()};
}

Var Gpt::attend(const GptBlock& block, const Var& x, const AttentionShape& shape, KvCache* cache,
                std::int64_t position) const {
  Var qkv = block.qkv(x);
  if (config_.positions == Positions::rotary)
    qkv = rotary(std::move(qkv), shape, config_.rope_theta, position);
  if (cache) return block.out(Var::input(cached_attention(qkv.value(), *cache, shape, position)));
  return block.out(attention(qkv, shape));
}

Var Gpt::mlp(const GptBlock& block, const Var& x) const {
  if (config_.activation == Activation::gelu) return block.down(block.up.gelu(x));
  return block.down(swiglu(block.up(x)));
}

Var Gpt::trunk(const Var& tokens, const AttentionShape& shape, const Pass& pass,
               GptCache* cache) const {
  const double p = pass.training ? config_.dropout : 0;
  const std::int64_t first_row = pass.first_sample * shape.seq_len;
  const std::int64_t position = cache ? cache->length : 0;
  Var x = embedding(embed_, tokens);
  if (positions_) x = add_positions(x, *positions_, shape.seq_len, position);
  x = dropout(x, p, dropout_key(pass, "embed"), first_row);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const GptBlock& block = blocks_[i];
    const Scope scope(x.device(), block.name);
    const Var a =
        attend(block, block.norm1(x), shape, cache ? &cache->layers[i] : nullptr, position);
    x = dropout_add(x, a, p, dropout_key(pass, block.name + ".attn"), first_row);
    const Var m = mlp(block, block.norm2(x));
    x = dropout_add(x, m, p, dropout_key(pass, block.name + ".mlp"), first_row);
  }
  return x;
}

Var Gpt::head(const Var& hidden) const {
  return linear(final_norm_(hidden), head_ ? *head_ : embed_);
}

Var Gpt::logits(const Tensor& tokens, std::int64_t samples, const Pass& pass) const {
  require(samples > 0 && tokens.size() % samples == 0, tokens.size(), " tokens in ", samples,
          " sequences");
  const std::int64_t seq_len = tokens.size() / samples;
  require(seq_len <= config_.seq_len, "a sequence of ", seq_len, " tokens, but the model takes ",
          config_.seq_len);
  const Var x =
      trunk(Var::input(tokens, pass.tape), attention_shape(samples, seq_len), pass, nullptr);
  const Scope scope(x.device(), "head");
  return head(x);
}

Var Gpt::loss(const TokenBatch& batch, const Pass& pass) const {
  Var y = logits(batch.tokens, batch.samples, pass);
  const Scope scope(y.device(), "head");
  return cross_entropy(y, batch.targets);
}

Tensor Gpt::extend(const Tensor& tokens, GptCache& cache) const {
  const std::int64_t n = tokens.size();
  require(n > 0 && cache.length + n <= std::min(cache.capacity, config_.seq_len), cache.length,
          " tokens and ", n, " more, but the model takes ",
          std::min(cache.capacity, config_.seq_len));
  const Var x = trunk(Var::input(tokens), attention_shape(1, n), {}, &cache);
  cache.length += n;
  return head(Var::input(x.value().rows(n - 1, n))).value();
}

}  // namespace fusor
