#include "models/encoder.h"

#include "ops/drop_path.h"

namespace fusor {
namespace {

std::int64_t head_dim_of(const std::string& name, const EncoderConfig& c) {
  require(c.heads > 0 && c.width % c.heads == 0, name, ": heads ", c.heads,
          " should divide the width, ", c.width);
  return c.width / c.heads;
}

NormLayer norm_of(const std::string& name, const EncoderConfig& c, const TensorRegion& region) {
  return {name, Norm::layer_norm, c.width, c.norm_eps, region};
}

Mlp mlp_of(const std::string& name, const EncoderConfig& c, const TensorRegion& region) {
  return {name + ".mlp",
          {.width = c.width,
           .hidden = c.mlp_hidden,
           .activation = c.activation,
           .bias = true,
           .up_std = c.init_std,
           .down_std = c.init_std},
          region};
}

// Of this rank's heads, which are whole.
AttentionShape attention_shape(const std::string& name, const EncoderConfig& c,
                               const TensorRegion& region, const Sequences& s) {
  const std::int64_t heads = region.share(c.heads, name + ".attn's heads");
  return {.batch = s.samples,
          .seq_len = s.seq_len,
          .heads = heads,
          .kv_heads = heads,
          .head_dim = head_dim_of(name, c),
          .causal = false};
}

AttentionDropout attention_dropout(const std::string& name, const EncoderConfig& c,
                                   const TensorRegion& region, const Pass& pass) {
  return {.p = pass.training ? c.attention_dropout : 0,
          .key = dropout_key(pass, name + ".attn.weights"),
          .first_sample = pass.first_sample,
          .first_head = region.tp.rank() * region.share(c.heads, name + ".attn's heads")};
}

// This rank's rows of the stream outside the region.
RowMap rows_of(const TensorRegion& region, const Sequences& s, const Pass& pass) {
  const RowMap all = RowMap::whole(pass.first_sample, s.seq_len);
  if (!region.sequence) return all;
  return all.rows_from(region.tp.rank() * region.share(s.samples * s.seq_len, "a batch's rows"));
}

// A residual stream and what a block's branches add to it.
struct Stream {
  const EncoderConfig& config;
  const Pass& pass;
  RowMap rows;

  double p(double of) const { return pass.training ? of : 0; }

  // residual + a branch's x, and its norm. name: of the branch ("block.3.attn").
  AddNorm add(const Var& residual, const Var& x, const std::string& name,
              const NormLayer& norm) const {
    if (p(config.drop_path) == 0)
      return norm(residual, x, p(config.dropout), dropout_key(pass, name), rows);
    const Var sum = add(residual, x, name);
    return {sum, norm(sum)};
  }
  Var add(const Var& residual, const Var& x, const std::string& name) const {
    const double path = p(config.drop_path);
    const StepKey key = dropout_key(pass, name);
    if (path == 0) return dropout_add(residual, x, p(config.dropout), key, rows);
    return drop_path_add(residual, dropout(x, p(config.dropout), key, rows), path,
                         dropout_key(pass, name + ".path"), rows);
  }
};

// attend(in): what attention adds, of a normed stream or the stream itself.
template <class Block, class Attend>
Var run(const Block& block, const Var& x, const Sequences& s, const Pass& pass, Attend&& attend) {
  const Stream stream{block.config, pass, rows_of(block.region, s, pass)};
  const std::string attention = block.name + ".attn", mlp = block.name + ".mlp";
  const auto mlp_of = [&](const Var& in) {
    const Scope scope(in.device(), "mlp");
    return block.mlp(in);
  };
  if (block.config.pre_norm) {
    const auto [y, normed] = stream.add(x, attend(block.norm1(x)), attention, block.norm2);
    return stream.add(y, mlp_of(normed), mlp);
  }
  const Var y = stream.add(x, attend(x), attention, block.norm1).y;
  return stream.add(y, mlp_of(y), mlp, block.norm2).y;
}

}  // namespace

EncoderBlock::EncoderBlock(const std::string& name_, const EncoderConfig& c,
                           const TensorRegion& region_)
    : name(name_),
      config(c),
      region(region_),
      norm1(norm_of(name + ".norm1", c, region)),
      qkv({{name + ".attn.q", c.width}, {name + ".attn.k", c.width}, {name + ".attn.v", c.width}},
          c.width, c.init_std, /*bias=*/true, region),
      out(name + ".attn.out", c.width, c.width, c.init_std, /*bias=*/true, region),
      norm2(norm_of(name + ".norm2", c, region)),
      mlp(mlp_of(name, c, region)) {
  attention_shape(name, c, region, {1, 1});
}

void EncoderBlock::visit(const Visitor& f) {
  norm1.visit(f), qkv.visit(f), out.visit(f), norm2.visit(f), mlp.visit(f);
}

Var EncoderBlock::operator()(const Var& x, const Sequences& s, const Pass& pass) const {
  return run(*this, x, s, pass, [&](const Var& in) { return attend(in, s, pass); });
}

Var EncoderBlock::attend(const Var& x, const Sequences& s, const Pass& pass) const {
  const auto f = [this, shape = attention_shape(name, config, region, s), lengths = s.lengths,
                  dropout =
                      attention_dropout(name, config, region, pass)](const std::vector<Var>& in) {
    const Scope scope(in[0].device(), "attn");
    return out(attention(qkv(in[0]), shape, lengths, dropout));
  };
  return pass.recompute_attention ? Tape::recompute({x}, f) : f({x});
}

CrossBlock::CrossBlock(const std::string& name_, const EncoderConfig& c, std::int64_t context_width,
                       const TensorRegion& region_)
    : name(name_),
      config(c),
      region(region_),
      norm1(norm_of(name + ".norm1", c, region)),
      q({{name + ".attn.q", c.width}}, c.width, c.init_std, /*bias=*/true, region),
      kv({{name + ".attn.k", c.width}, {name + ".attn.v", c.width}}, context_width, c.init_std,
         /*bias=*/true, region),
      out(name + ".attn.out", c.width, c.width, c.init_std, /*bias=*/true, region),
      norm2(norm_of(name + ".norm2", c, region)),
      mlp(mlp_of(name, c, region)) {
  attention_shape(name, c, region, {1, 1});
}

void CrossBlock::visit(const Visitor& f) {
  norm1.visit(f), q.visit(f), kv.visit(f), out.visit(f), norm2.visit(f), mlp.visit(f);
}

Var CrossBlock::operator()(const Var& x, const Sequences& s, const Var& context,
                           const Sequences& of_context, const Pass& pass) const {
  require(s.samples == of_context.samples, name, ": ", s.samples, " samples attend to ",
          of_context.samples);
  return run(*this, x, s, pass,
             [&](const Var& in) { return attend(in, s, context, of_context, pass); });
}

Var CrossBlock::attend(const Var& x, const Sequences& s, const Var& context,
                       const Sequences& of_context, const Pass& pass) const {
  AttentionShape shape = attention_shape(name, config, region, s);
  shape.kv_seq_len = of_context.seq_len;
  const auto f = [this, shape, lengths = of_context.lengths,
                  dropout =
                      attention_dropout(name, config, region, pass)](const std::vector<Var>& in) {
    const Scope scope(in[0].device(), "attn");
    return out(cross_attention(q(in[0]), kv(in[1]), shape, lengths, dropout));
  };
  return pass.recompute_attention ? Tape::recompute({x, context}, f) : f({x, context});
}

}  // namespace fusor
