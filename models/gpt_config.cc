#include "models/gpt_config.h"

#include <cstdlib>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

struct Preset {
  std::string_view name;
  GptConfig config;
};

// Table 2 of the GPT-2 paper; GPT-3's is Table 2.1 of https://arxiv.org/abs/2005.14165.
constexpr GptConfig gpt(std::int64_t layers, std::int64_t width, std::int64_t heads,
                        std::int64_t seq_len = 1024) {
  return {.seq_len = seq_len, .layers = layers, .width = width, .heads = heads};
}

constexpr GptConfig gpt2_tiny() {
  return {.vocab_size = 256, .seq_len = 64, .layers = 2, .width = 64, .heads = 4};
}

constexpr GptConfig llama(GptConfig shape) {
  shape.norm = Norm::rms_norm;
  shape.activation = Activation::swiglu;
  shape.positions = Positions::rotary;
  shape.bias = false;
  return shape;
}

constexpr GptConfig llama_tiny() {
  return llama({.vocab_size = 256,
                .seq_len = 64,
                .layers = 2,
                .width = 64,
                .heads = 4,
                .kv_heads = 2,
                .mlp_hidden = 192});
}

// Llama 3.2 1B and Llama 3.1 8B at the 8192 positions that they were first trained with.
constexpr GptConfig llama_1b() {
  return llama({.vocab_size = 128256,
                .seq_len = 8192,
                .layers = 16,
                .width = 2048,
                .heads = 32,
                .kv_heads = 8,
                .mlp_hidden = 8192,
                .rope_theta = 500000});
}

constexpr GptConfig llama_8b() {
  return llama({.vocab_size = 128256,
                .seq_len = 8192,
                .layers = 32,
                .width = 4096,
                .heads = 32,
                .kv_heads = 8,
                .mlp_hidden = 14336,
                .rope_theta = 500000,
                .tied_embeddings = false});
}

// Llama 2 7B, https://arxiv.org/abs/2307.09288.
constexpr GptConfig llama_7b() {
  return llama({.vocab_size = 32000,
                .seq_len = 4096,
                .layers = 32,
                .width = 4096,
                .heads = 32,
                .mlp_hidden = 11008,
                .tied_embeddings = false});
}

// Jiang et al. 2024, https://arxiv.org/abs/2401.04088, table 1.
constexpr GptConfig mixtral_8x7b() {
  GptConfig shape = llama_7b();
  shape.seq_len = 32768;
  shape.kv_heads = 8;
  shape.mlp_hidden = 14336;
  shape.rope_theta = 1000000;
  shape.experts = 8;
  return shape;
}

constexpr GptConfig moe_tiny() {
  GptConfig shape = llama_tiny();
  shape.mlp_hidden = 96;
  shape.experts = 4;
  return shape;
}

constexpr Preset kPresets[] = {
    {"gpt2-tiny", gpt2_tiny()},        {"gpt2-124m", gpt(12, 768, 12)},
    {"gpt2-350m", gpt(24, 1024, 16)},  {"gpt2-774m", gpt(36, 1280, 20)},
    {"gpt2-1558m", gpt(48, 1600, 25)}, {"gpt3-175b", gpt(96, 12288, 96, 2048)},
    {"llama-tiny", llama_tiny()},      {"llama-1b", llama_1b()},
    {"llama-7b", llama_7b()},          {"llama-8b", llama_8b()},
    {"moe-tiny", moe_tiny()},          {"mixtral-8x7b", mixtral_8x7b()},
};

// With `experts` experts met by a token; all of them are met where it is config.experts.
std::int64_t count_parameters(const GptConfig& c, std::int64_t experts) {
  const std::int64_t kv_width = c.kv_heads * c.head_dim();
  const bool norm_bias = c.bias && c.norm == Norm::layer_norm;
  const std::int64_t norm = c.width * (norm_bias ? 2 : 1);
  const std::int64_t up = c.activation == Activation::swiglu ? 2 : 1;  // gate and value, or value
  const std::int64_t attention = 2 * c.width * c.width + 2 * c.width * kv_width;
  const std::int64_t attention_bias = c.bias ? 2 * c.width + 2 * kv_width : 0;
  const std::int64_t mlp = (up + 1) * c.width * c.mlp_hidden;
  const std::int64_t mlp_bias = c.bias ? up * c.mlp_hidden + c.width : 0;
  const std::int64_t router = c.experts * c.width;
  const std::int64_t layer = 2 * norm + attention + attention_bias +
                             (c.experts > 0 ? experts * mlp + router : mlp + mlp_bias);
  const std::int64_t tokens = c.vocab_size * c.width;
  const std::int64_t positions = c.positions == Positions::learned ? c.seq_len * c.width : 0;
  return tokens + positions + c.layers * layer + norm + (c.tied_embeddings ? 0 : tokens);
}

void require_valid_experts(const GptConfig& c) {
  if (c.experts == 0) return;
  require(c.experts > 0, "model.experts ", c.experts, " must be at least 0");
  require(0 < c.experts_per_token && c.experts_per_token <= c.experts, "model.experts_per_token ",
          c.experts_per_token, " of model.experts ", c.experts,
          ", the nearest that works: ", c.experts_per_token > 0 ? c.experts : 1);
  require(c.capacity_factor >= 0 && c.balance_loss >= 0,
          "model.capacity_factor and model.balance_loss must not be negative");
  require(c.activation != Activation::gelu_erf,
          "model.activation of experts is gelu or swiglu, not gelu_erf");
}

}  // namespace

GptConfig resolve(GptConfig c) {
  require(c.vocab_size > 0, "model.vocab_size ", c.vocab_size, " must be at least 1");
  require(c.seq_len > 0, "model.seq_len ", c.seq_len, " must be at least 1");
  require(c.layers > 0, "model.layers ", c.layers, " must be at least 1");
  require(c.heads > 0, "model.heads ", c.heads, " must be at least 1");
  require(c.width > 0, "model.width ", c.width, " must be at least 1");
  require(c.width % c.heads == 0, "model.heads ", c.heads, " does not divide model.width ",
          c.width);
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  require(c.kv_heads > 0 && c.heads % c.kv_heads == 0, "model.kv_heads ", c.kv_heads,
          " does not divide model.heads ", c.heads);
  require(c.positions == Positions::learned || c.head_dim() % 2 == 0,
          "rotary positions need an even head dim, but model.width ", c.width, " / model.heads ",
          c.heads, " is ", c.head_dim());
  if (c.mlp_hidden == 0) c.mlp_hidden = 4 * c.width;
  require(c.mlp_hidden > 0, "model.mlp_hidden ", c.mlp_hidden, " must be at least 1");
  require_valid_experts(c);
  require(c.dropout >= 0 && c.dropout < 1, "model.dropout ", c.dropout,
          " must be at least 0 and below 1");
  require(c.norm_eps >= 0 && c.init_std >= 0 && c.rope_theta > 0,
          "model.norm_eps, model.init_std and model.rope_theta must be positive");
  return c;
}

void require_tensor_parallel(const GptConfig& c, int tp) {
  const auto misfit = [&](std::int64_t ranks) -> std::string {
    const auto key = [](const char* name, std::int64_t n) {
      return std::string(name) + " " + std::to_string(n);
    };
    if (c.heads % ranks != 0) return "does not divide " + key("model.heads", c.heads);
    if (c.kv_heads % ranks != 0) return "does not divide " + key("model.kv_heads", c.kv_heads);
    if (c.mlp_hidden % ranks != 0)
      return "does not divide " + key("model.mlp_hidden", c.mlp_hidden);
    return ranks > c.vocab_size ? "is more than " + key("model.vocab_size", c.vocab_size) : "";
  };
  if (misfit(tp).empty()) return;
  std::int64_t nearest = 1;
  for (std::int64_t ranks = 1; ranks < 2 * tp; ++ranks)
    if (std::abs(ranks - tp) <= std::abs(nearest - tp) && misfit(ranks).empty()) nearest = ranks;
  raise("parallel.tp " + std::to_string(tp) + " " + misfit(tp) +
        ", the nearest that works: " + std::to_string(nearest));
}

void require_expert_parallel(const GptConfig& c, int ep) {
  if (ep == 1) return;
  require(c.experts > 0, "parallel.ep ", ep,
          " splits experts, but model.experts is 0, the nearest that works: 1");
  require(c.experts % ep == 0, "parallel.ep ", ep, " does not divide model.experts ", c.experts,
          ", the nearest that works: ", nearest_divisors(c.experts, ep));
}

std::int64_t num_parameters(const GptConfig& config) {
  const GptConfig c = resolve(config);
  return count_parameters(c, c.experts);
}

std::int64_t num_active_parameters(const GptConfig& config) {
  const GptConfig c = resolve(config);
  return count_parameters(c, c.experts_per_token);
}

std::vector<std::string> gpt_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

GptConfig gpt_preset(std::string_view name) {
  for (const Preset& preset : kPresets)
    if (preset.name == name) return preset.config;
  raise("unknown model preset \"" + std::string(name) + "\"" +
        did_you_mean_of(name, gpt_preset_names()));
}

}  // namespace fusor
