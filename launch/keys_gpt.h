#pragma once
#include "launch/config.h"
#include "launch/key.h"

// The keys of language models: see visit_keys().
namespace fusor {

// clang-format off
// The sizes end where a model's bytes would no longer be a number of 64 bits.
template <class C, class F>
void visit_gpt_model_keys(C& c, F&& f) {
  auto& m = c.model;
  f(fixed_key("model.vocab_size", "tokens in the vocabulary", 1, 1 << 24), m.vocab_size);
  f(fixed_key("model.seq_len", "most tokens of a sequence", 1, 1 << 24), m.seq_len);
  f(fixed_key("model.layers", "transformer blocks", 1, 1 << 14), m.layers);
  f(fixed_key("model.width", "width of the residual stream (d_model)", 1, 1 << 20), m.width);
  f(fixed_key("model.heads", "attention heads", 1), m.heads);
  f(fixed_key("model.kv_heads", "key and value heads (0: as many as heads)"), m.kv_heads);
  f(fixed_key("model.mlp_hidden", "hidden width of the MLP (0: 4 x width)", 0, 1 << 22), m.mlp_hidden);
  f(fixed_key("model.norm", "normalisation"), m.norm);
  f(fixed_key("model.activation", "of the MLP; gelu is its tanh form"), m.activation);
  f(fixed_key("model.positions", "position information"), m.positions);
  f(fixed_key("model.rope_theta", "base of the rotary frequencies", 1), m.rope_theta);
  f(fixed_key("model.bias", "biases in linear layers and LayerNorm"), m.bias);
  f(fixed_key("model.tied_embeddings", "output projection = token embedding"), m.tied_embeddings);
  f(fixed_key("model.experts", "experts in place of each MLP (0: none)", 0, 1 << 16), m.experts);
  f(fixed_key("model.experts_per_token", "experts that a token goes to", 1), m.experts_per_token);
  f(key("model.capacity_factor", "of an even share of the tokens an expert takes (0: all tokens)"), m.capacity_factor);
  f(key("model.balance_loss", "coefficient of the loss that evens out the experts' use"), m.balance_loss);
  f(key("model.dropout", "dropout probability", 0, 1), m.dropout);
  f(fixed_key("model.norm_eps", "added to the variance in norms"), m.norm_eps);
  f(key("model.init_std", "standard deviation of fresh weights"), m.init_std);
}

template <class C, class F>
void visit_gpt_data_keys(C& c, F&& f) {
  f(fixed_key("data.seq_len", "tokens per sample (0: model.seq_len)"), c.data.seq_len);
}
// clang-format on

}  // namespace fusor
