#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

enum class Norm { layer_norm, rms_norm };
enum class Activation { gelu, swiglu, gelu_erf };  // gelu is the tanh form, as in GPT-2
enum class Positions { learned, rotary };          // rotary as in https://arxiv.org/abs/2104.09864

// The shape of a decoder-only transformer. Classic: GPT-2, Radford et al. 2019. Modern: Llama,
// https://arxiv.org/abs/2407.21783. The defaults are gpt2-124m.
struct GptConfig {
  std::int64_t vocab_size = 50257;
  std::int64_t seq_len = 1024;  // the most tokens a sequence may have
  std::int64_t layers = 12;
  std::int64_t width = 768;     // of the residual stream
  std::int64_t heads = 12;      // query heads
  std::int64_t kv_heads = 0;    // key and value heads; 0: as many as query heads
  std::int64_t mlp_hidden = 0;  // 0: 4 x width
  Norm norm = Norm::layer_norm;
  Activation activation = Activation::gelu;
  Positions positions = Positions::learned;
  double rope_theta = 10000;    // the base of the rotary frequencies
  bool bias = true;             // of linear layers and LayerNorm
  bool tied_embeddings = true;  // the output projection is the token embedding
  // Experts in place of the MLP, each of mlp_hidden and without biases; see parallel/experts.h.
  std::int64_t experts = 0;            // 0: one MLP for all tokens
  std::int64_t experts_per_token = 2;  // that a token goes to
  double capacity_factor = 1.25;       // of an even share of the tokens an expert takes; 0: all
  double balance_loss = 0.01;          // coefficient of the loss that evens out the experts' use
  double dropout = 0;                  // of embeddings, attention output and MLP output
  double norm_eps = 1e-5;
  double init_std = 0.02;  // residual projections are drawn with init_std / sqrt(2 x layers)

  std::int64_t head_dim() const { return width / heads; }
  bool operator==(const GptConfig&) const = default;
};

// The same shape with kv_heads and mlp_hidden filled in. Throws Error when no such model can be
// built: heads must divide width, kv_heads divide heads, rotary head dims be even, and so on.
GptConfig resolve(GptConfig);

// Throws Error that names the key, and the nearest tp that works, where tensor parallelism over tp
// ranks cannot split a resolved config: tp must divide heads, kv_heads and mlp_hidden, and there
// must be a word for each rank.
void require_tensor_parallel(const GptConfig&, int tp);
// The same of the experts over ep ranks: ep must divide them.
void require_expert_parallel(const GptConfig&, int ep);

// Trainable parameters; tied embeddings count once. `config` as resolve() takes it.
std::int64_t num_parameters(const GptConfig& config);
// Of these, the ones that a token meets: those of the experts it goes to, and all the others.
std::int64_t num_active_parameters(const GptConfig& config);

// A named shape, not yet resolved: whoever overrides `heads` or `width` gets kv_heads and
// mlp_hidden to match. Throws Error that names the nearest preset.
GptConfig gpt_preset(std::string_view name);
std::vector<std::string> gpt_preset_names();

}  // namespace fusor
