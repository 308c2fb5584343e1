// What Fusor's calls of NVIDIA's libraries reach, beside the same libraries called bare on the same
// operands, in alternation, on GPU 0:
//
//   library_bench
//
// Prints two Markdown tables. Linear layers of the models that language_gpu.py trains: each of
// their three products with its epilogue as training calls it, against the fastest of up to 32
// algorithms of cuBLASLt without one. Attention: against cuDNN's plans by themselves; where cuDNN
// refuses, why. A share is the bare call's time over Fusor's.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "benchmarks/bare_attention.h"
#include "benchmarks/bare_product.h"
#include "benchmarks/compare.h"
#include "models/gpt_config.h"
#include "runtime/cuda_devices.h"

namespace fusor::benchmark {
namespace {

using ops::Epilogue;
using ops::kernels::GemmCall;
using ops::kernels::Product;

constexpr std::int64_t kVocabulary = 50304;  // as in language_gpu.py
struct Model {
  const char* preset;
  std::int64_t tokens;  // of a micro-batch
};
constexpr Model kModels[] = {{"gpt2-124m", 64 << 10},
                             {"gpt2-350m", 32 << 10},
                             {"gpt2-1558m", 16 << 10},
                             {"llama-1b", 16 << 10}};

struct Layer {
  std::string name;
  std::int64_t out, in;
  bool gelu_behind = false, gelu_before = false, bias = false;
};

std::vector<Layer> layers_of(const GptConfig& c) {
  const bool gelu = c.activation == Activation::gelu;
  const std::int64_t qkv = (c.heads + 2 * c.kv_heads) * c.head_dim();
  return {{"qkv", qkv, c.width, false, false, c.bias},
          {"out", c.width, c.heads * c.head_dim(), false, false, c.bias},
          {"up", gelu ? c.mlp_hidden : 2 * c.mlp_hidden, c.width, gelu, false, c.bias},
          {"down", c.width, c.mlp_hidden, false, gelu, c.bias},
          {"head", kVocabulary, c.width}};
}

// Forward, to its input, to its weight.
std::vector<std::pair<std::string, GemmCall>> products_of(const Layer& l, std::int64_t tokens) {
  const auto call = [&](Product product, bool bias, Epilogue epilogue) {
    return GemmCall{product, DType::bf16, bias, false, epilogue, tokens, l.out, l.in};
  };
  const auto forward = l.gelu_behind ? Epilogue::gelu_aux : Epilogue::none,
             to_input = l.gelu_before ? Epilogue::dgelu : Epilogue::none;
  std::string y = l.bias ? "x w' + b" : "x w'", dx = "dy w";
  if (l.gelu_behind) y = "gelu(" + y + ")";
  if (l.gelu_before) dx += " gelu'";
  return {{y, call(Product::nt, l.bias, forward)},
          {dx, call(Product::nn, false, to_input)},
          {"dy' x", call(Product::tn, false, Epilogue::none)}};
}

// Work `ours` beside work `rival`.
Comparison in_turn(const DeviceWork& work, std::size_t ours, std::size_t rival) {
  constexpr int kPairs = 7;
  Comparison result;
  for (int pair = 0; pair < kPairs; ++pair) {
    result.ours.seconds.push_back(work.seconds(ours));
    result.rival.seconds.push_back(work.seconds(rival));
  }
  return result;
}

void print(const std::string& what, const Comparison& c, double flops) {
  const auto rate = [&](const Times& t) { return 1e-12 * flops / t.median(); };
  std::printf("| %s | %.1f us | %.1f | %.1f | %.0f %% |", what.c_str(), 1e6 * c.ours.median(),
              rate(c.ours), rate(c.rival), 100 * c.speedup());
}

// A shape that this GPU cannot hold, or a library does not take, is a row with the reason.
template <class F>
void row(const std::string& what, F&& f) {
  try {
    f();
  } catch (const std::exception& error) {
    std::printf("| %s | %s |\n", what.c_str(), error.what());
  }
  std::fflush(stdout);
}

void compare_product(const std::string& what, const GemmCall& call) {
  constexpr int kTimes = 5;
  const DeviceWork work = product_and_bare(call, kTimes);
  require(work.size() > 1, "cuBLASLt names no algorithm");
  std::vector<double> seconds;
  for (std::size_t i = 1; i < work.size(); ++i) seconds.push_back(work.seconds(i));
  const auto best = std::min_element(seconds.begin(), seconds.end()) - seconds.begin();
  print(what, in_turn(work, 0, static_cast<std::size_t>(best) + 1), work.cost(0).flops);
  std::printf(" %td of %zu |\n", best + 1, seconds.size());
}

void compare_products() {
  std::printf(
      "| product | time | TFLOP/s | of cuBLASLt bare | share | fastest algorithm |\n"
      "|---|---|---|---|---|---|\n");
  for (const Model& model : kModels) {
    GptConfig config = gpt_preset(model.preset);
    config.vocab_size = kVocabulary;
    for (const Layer& layer : layers_of(resolve(config)))
      for (const auto& [formula, call] : products_of(layer, model.tokens)) {
        const std::string what = std::string(model.preset) + " " + layer.name + ": " + formula +
                                 " [" + std::to_string(call.m) + ", " + std::to_string(call.n) +
                                 ", " + std::to_string(call.k) + "]";
        row(what, [&] { compare_product(what, call); });
      }
  }
}

void compare_attention() {
  constexpr int kTimes = 5;
  std::printf(
      "\n| attention | time | TFLOP/s | of cuDNN bare | share |\n"
      "|---|---|---|---|---|\n");
  for (const AttentionShape& s :
       {AttentionShape{64, 1024, 12, 12, 64}, AttentionShape{32, 1024, 16, 16, 64},
        AttentionShape{16, 1024, 25, 25, 64}, AttentionShape{16, 1024, 32, 8, 64},
        AttentionShape{4, 4096, 32, 8, 128}}) {
    const std::string what = std::to_string(s.batch) + " x " + std::to_string(s.seq_len) +
                             ", heads " + std::to_string(s.heads) + " (" +
                             std::to_string(s.kv_heads) + ") x " + std::to_string(s.head_dim);
    row(what, [&] {
      const DeviceWork work = attention_and_bare(s, kTimes);
      for (const std::size_t pass : {0, 2}) {
        print(what + (pass ? ", forward and backward" : ", forward"), in_turn(work, pass, pass + 1),
              work.cost(pass).flops);
        std::printf("\n");
      }
    });
  }
}

}  // namespace
}  // namespace fusor::benchmark

int main() try {
  fusor::use_cuda_device(0);
  fusor::benchmark::compare_products();
  fusor::benchmark::compare_attention();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "library_bench: %s\n", error.what());
  return 1;
}
