#include "models/gpt.h"

#include <cmath>

#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/rotary.h"
#include "parallel/ring_attention.h"

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

std::variant<Mlp, Experts> make_mlp(const std::string& name, const GptConfig& c, const Mesh& mesh) {
  if (c.experts == 0) return Mlp(name, c, residual_std(c), TensorRegion(mesh));
  const ExpertsShape shape{.width = c.width,
                           .hidden = c.mlp_hidden,
                           .experts = c.experts,
                           .chosen = c.experts_per_token,
                           .gated = c.activation == Activation::swiglu,
                           .capacity_factor = c.capacity_factor,
                           .balance_loss = c.balance_loss};
  return Experts(name, shape, c.init_std, residual_std(c), mesh);
}

}  // namespace

BatchShape token_batch(std::int64_t samples, const RowMap& rows) {
  const Shape shape{samples, rows.local_len};
  return {"", samples, {{"tokens", shape, DType::i32}, {"targets", shape, DType::i32}}};
}

GptBlock::GptBlock(const GptConfig& c, std::int64_t index, const Mesh& mesh)
    : name("block." + std::to_string(index)),
      norm1(name + ".norm1", c, TensorRegion(mesh)),
      qkv(qkv_parts(name + ".attn", c), c.width, c.init_std, c.bias, TensorRegion(mesh)),
      out(name + ".attn.out", c.heads * c.head_dim(), c.width, residual_std(c), c.bias,
          TensorRegion(mesh)),
      norm2(name + ".norm2", c, TensorRegion(mesh)),
      mlp(make_mlp(name + ".mlp", c, mesh)) {}

void GptBlock::visit(const Visitor& f) {
  norm1.visit(f), qkv.visit(f), out.visit(f), norm2.visit(f);
  std::visit([&](auto& layer) { layer.visit(f); }, mlp);
}

GptCache::GptCache(const GptConfig& c, std::int64_t capacity, DType dtype, const Device& device)
    : capacity(capacity) {
  const Shape shape{1, capacity, c.kv_heads * c.head_dim()};
  const Scope scope(device, "kv cache");
  for (std::int64_t i = 0; i < c.layers; ++i)
    layers.push_back({Tensor(shape, dtype, device), Tensor(shape, dtype, device)});
}

Gpt::Gpt(const GptConfig& c, const Mesh& mesh)
    : config_(c),
      region_(mesh),
      cp_(mesh.cp),
      embed_("embed.weight", c.vocab_size, c.width, c.init_std, region_),
      final_norm_("final_norm", c, region_),
      head_(c.tied_embeddings ? "embed.weight" : "head.weight", c.vocab_size, c.width, c.init_std,
            region_) {
  require_tensor_parallel(c, mesh.tp.size());
  require_expert_parallel(c, mesh.ep.size());
  if (c.positions == Positions::learned) {
    positions_.emplace("positions.weight", Shape{c.seq_len, c.width}, Fill{.std = c.init_std});
    positions_->partial_over_tp = region_.sequence;
  }
  blocks_.reserve(static_cast<std::size_t>(c.layers));
  for (std::int64_t i = 0; i < c.layers; ++i) blocks_.emplace_back(c, i, mesh);
  if (c.tied_embeddings) head_.w.twin_of = &embed_.w;
}

std::vector<Part> Gpt::parts() const {
  std::vector<Part> parts{{"embed", {}, /*reads_batch=*/true}};
  for (const GptBlock& block : blocks_)
    parts.push_back({block.name, {static_cast<int>(parts.size()) - 1}});
  parts.push_back({"head", {static_cast<int>(parts.size()) - 1}, /*reads_batch=*/true});
  return parts;
}

Var Gpt::run(int part, const std::vector<Var>& inputs, const Batch& batch, const Pass& pass) const {
  const Rows rows = rows_of(batch.shape, pass);
  if (part == 0) return embed(Var::input(batch.flat("tokens"), pass.tape), rows, pass);
  const auto index = static_cast<std::size_t>(part) - 1;
  if (index < blocks_.size()) return block(index, inputs.at(0), rows, pass, nullptr);
  return head_.loss(head(inputs.at(0)), batch.flat("targets"));
}

Shape Gpt::output_shape(int part, const BatchShape& batch) const {
  if (static_cast<std::size_t>(part) > blocks_.size()) return {1};
  const int sharing = region_.sequence ? region_.tp.size() : 1;  // the rows
  return {num_elements(batch["tokens"].shape) / sharing, config_.width};
}

void Gpt::visit(int part, const Visitor& f) {
  const auto index = static_cast<std::size_t>(part) - 1;
  if (part == 0) {
    f(embed_.w);
    if (positions_) f(*positions_);
  } else if (index < blocks_.size()) {
    blocks_[index].visit(f);
  } else {
    final_norm_.visit(f);
    f(head_.w);
  }
}

Gpt::Rows Gpt::rows_of(std::int64_t samples, std::int64_t seq_len, const Pass& pass) const {
  const int tp = region_.tp.size();
  const RowMap map = RowMap::zigzag(pass.first_sample, seq_len, cp_.rank(), cp_.size());
  const std::int64_t first =
      region_.sequence ? region_.tp.rank() * (samples * map.local_len / tp) : 0;
  return {.shape = {.batch = samples,
                    .seq_len = map.local_len,
                    .heads = config_.heads / tp,
                    .kv_heads = config_.kv_heads / tp,
                    .head_dim = config_.head_dim()},
          .map = map,
          .outside = map.rows_from(first)};
}

Gpt::Rows Gpt::rows_of(const BatchShape& batch, const Pass& pass) const {
  return rows_of(batch.samples, batch["tokens"].shape.at(1) * cp_.size(), pass);
}

double Gpt::dropout_of(const Pass& pass) const { return pass.training ? config_.dropout : 0; }

Var Gpt::embed(const Var& tokens, const Rows& rows, const Pass& pass) const {
  Var x = embed_.embed(tokens);
  if (positions_) x = add_positions(x, *positions_, rows.outside);
  return dropout(x, dropout_of(pass), dropout_key(pass, "embed"), rows.outside);
}

Var Gpt::block(std::size_t index, const Var& x, const Rows& rows, const Pass& pass,
               KvCache* cache) const {
  const GptBlock& block = blocks_[index];
  const double p = dropout_of(pass);
  const auto attention = [this, &block, rows, cache](const std::vector<Var>& in) {
    return attend(block, in[0], rows, cache);
  };
  const std::vector<Var> normed{block.norm1(x)};
  const Var a = pass.recompute_attention ? Tape::recompute(normed, attention) : attention(normed);
  const auto [y, normed_y] =
      block.norm2(x, a, p, dropout_key(pass, block.name + ".attn"), rows.outside);
  const Var m = mlp(block, normed_y, rows, pass, cache);
  return dropout_add(y, m, p, dropout_key(pass, block.name + ".mlp"), rows.outside);
}

Var Gpt::attend(const GptBlock& block, const Var& x, const Rows& rows, KvCache* cache) const {
  const Scope scope(x.device(), "attn");
  Var qkv = block.qkv(x);
  if (config_.positions == Positions::rotary)
    qkv = rotary(std::move(qkv), rows.shape, config_.rope_theta, rows.map);
  if (cache)
    return block.out(
        Var::input(cached_attention(qkv.value(), *cache, rows.shape, rows.map.position(0))));
  return block.out(ring_attention(qkv, rows.shape, cp_));
}

Var Gpt::mlp(const GptBlock& block, const Var& x, const Rows& rows, const Pass& pass,
             KvCache* cache) const {
  const Scope scope(x.device(), "mlp");
  if (const auto* dense = std::get_if<Mlp>(&block.mlp)) return (*dense)(x);
  const Experts& experts = std::get<Experts>(block.mlp);
  if (!cache) return experts(x, rows.outside, /*drop=*/true, pass.loss_scale);
  require(experts.ep.size() == 1, "tokens are generated on one rank, not on ep ",
          experts.ep.size());
  // What is generated must not depend on how many tokens are read at a time.
  return experts(x, RowMap::whole(0, x.value().dim(0)), /*drop=*/false);
}

Var Gpt::head(const Var& hidden) const { return head_.logits(final_norm_(hidden)); }

Var Gpt::logits(const Tensor& tokens, std::int64_t samples, const Pass& pass) const {
  require(samples > 0 && tokens.size() % samples == 0, tokens.size(), " tokens in ", samples,
          " sequences");
  const std::int64_t seq_len = tokens.size() / samples * cp_.size();
  require(seq_len <= config_.seq_len, "a sequence of ", seq_len, " tokens, but the model takes ",
          config_.seq_len);
  const Rows rows = rows_of(samples, seq_len, pass);
  Var x = embed(Var::input(tokens, pass.tape), rows, pass);
  for (std::size_t i = 0; i < blocks_.size(); ++i) x = block(i, x, rows, pass, nullptr);
  return head(x);
}

Tensor Gpt::extend(const Tensor& tokens, GptCache& cache) const {
  const std::int64_t n = tokens.size();
  require(n > 0 && cache.length + n <= std::min(cache.capacity, config_.seq_len), cache.length,
          " tokens and ", n, " more, but the model takes ",
          std::min(cache.capacity, config_.seq_len));
  require(region_.tp.size() == 1 && cp_.size() == 1, "tokens are generated on one rank, not on tp ",
          region_.tp.size(), " and cp ", cp_.size());
  Rows rows = rows_of(1, n, {});
  rows.map = rows.outside = RowMap::positions(cache.length, n);
  Var x = embed(Var::input(tokens), rows, {});
  for (std::size_t i = 0; i < blocks_.size(); ++i) x = block(i, x, rows, {}, &cache.layers[i]);
  cache.length += n;
  return head(Var::input(x.value().rows(n - 1, n))).value();
}

}  // namespace fusor
