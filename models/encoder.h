#pragma once
#include <string>

#include "models/modules.h"
#include "ops/attention.h"
#include "ops/row_map.h"

// Blocks of transformers that see a whole sequence at once: text and image and speech encoders, and
// what joins one modality to another. Attention heads and hidden units are split over tp.
namespace fusor {

// The shape of a block. The defaults are ViT-B's.
struct EncoderConfig {
  std::int64_t width = 768;  // of the residual stream
  std::int64_t heads = 12;
  std::int64_t mlp_hidden = 3072;
  bool pre_norm = true;  // x + f(norm(x)), as in ViT; else norm(x + f(x)), as in BERT
  Activation activation = Activation::gelu_erf;
  double dropout = 0;            // of what attention and MLP add to the stream
  double attention_dropout = 0;  // of the weights of attention
  double drop_path = 0;          // chance that a sample passes such an addition by
  double norm_eps = 1e-6;
  double init_std = 0.02;

  bool operator==(const EncoderConfig&) const = default;
};

// Sequences of equal length, as the rows [samples * seq_len] of an activation. With sequence
// parallelism a rank of tp holds an equal part of these rows, in order.
struct Sequences {
  std::int64_t samples, seq_len;
  Tensor lengths{};  // i32 [samples]: what comes after is padding, see ops/attention.h; undefined:
                     // there is none
};

// y = x + attention(x), then y + mlp(y), with LayerNorm before or after each. Attention is to the
// whole sequence: Vaswani et al. 2017, section 3.1. A position of padding is seen by no other.
// Parameters are named "NAME.norm1", "NAME.attn.q", ".k", ".v", ".out", "NAME.norm2",
// "NAME.mlp.up",
// ".down".
struct EncoderBlock {
  std::string name;  // "block.3"
  EncoderConfig config;
  TensorRegion region;
  NormLayer norm1;
  ColumnLinear qkv;
  RowLinear out;
  NormLayer norm2;
  Mlp mlp;

  // Throws Error where heads do not divide the width, or tp does not divide heads and hidden units.
  EncoderBlock(const std::string& name, const EncoderConfig&, const TensorRegion&);
  // x, y [rows, width], rows as Sequences tells.
  Var operator()(const Var& x, const Sequences&, const Pass&) const;
  void visit(const Visitor&);

 private:
  Var attend(const Var& x, const Sequences&, const Pass&) const;
};

// The same with attention to another sequence: y = x + attention(x to context). The context is not
// normed here. Where a sample's context has length 0 attention adds nothing but the bias of ".out".
struct CrossBlock {
  std::string name;
  EncoderConfig config;
  TensorRegion region;
  NormLayer norm1;
  ColumnLinear q, kv;
  RowLinear out;
  NormLayer norm2;
  Mlp mlp;

  // context_width: of the rows of the context.
  CrossBlock(const std::string& name, const EncoderConfig&, std::int64_t context_width,
             const TensorRegion&);
  // context [rows, context_width], rows as `of_context` tells, of as many samples as x has.
  Var operator()(const Var& x, const Sequences&, const Var& context, const Sequences& of_context,
                 const Pass&) const;
  void visit(const Visitor&);

 private:
  Var attend(const Var& x, const Sequences&, const Var& context, const Sequences& of_context,
             const Pass&) const;
};

}  // namespace fusor
