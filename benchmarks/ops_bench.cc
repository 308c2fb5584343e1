// What the operators reach on a device, beside what the device reaches at all in the same run:
//
//   ops_bench cuda|cpu [SCALE]      rows of the shapes are divided by SCALE: 64 for a look on a CPU
//
// Prints a Markdown table. The work of an operator is what its own cost function says, which is
// what the rehearsal counts too: operands read once, results written once. A share is of the copy
// bandwidth where moving the bytes would take longer than the arithmetic, else of the matrix rate.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/compare.h"
#include "launch/device_work.h"
#include "ops/adamw.h"
#include "ops/add.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/fill.h"
#include "ops/gelu.h"
#include "ops/gemm.h"
#include "ops/grad_norm.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"
#include "runtime/copy.h"

namespace fusor::benchmark {
namespace {

struct Row {
  std::string name;
  std::function<Work(const Device&)> make;
};

struct Rate {
  double seconds, flops, bytes;  // of one run of the work
};

Rate measure(const Row& row, const Placement& on) {
  constexpr int kTimes = 10, kMeasurements = 7;
  const DeviceWork work([&](const Device& device) { return std::vector{row.make(device)}; }, on,
                        kTimes);
  Times times;
  for (int i = 0; i < kMeasurements; ++i) times.seconds.push_back(work.seconds(0));
  return {times.median(), work.cost(0).flops, work.cost(0).bytes};
}

Tensor filled(Shape shape, DType dtype, const Device& device) {
  Tensor t(std::move(shape), dtype, device);
  ops::fill_normal(t, 0.5, random_key(1, "ops_bench"));
  return t;
}
Tensor zeros(Shape shape, DType dtype, const Device& device) {
  Tensor t(std::move(shape), dtype, device);
  ops::fill(t, 0);
  return t;
}
Var weight(Shape shape, const Device& device) {
  return Var::parameter(filled(shape, DType::bf16, device), zeros(shape, DType::f32, device));
}

// Forward alone, or with the gradients of everything.
Work pass(std::vector<Shape> activations, std::vector<Var> weights, const Device& device,
          bool backward, std::function<Var(const std::vector<Var>&)> op) {
  std::vector<Tensor> inputs;
  for (Shape& shape : activations) inputs.push_back(filled(std::move(shape), DType::bf16, device));
  const auto dy = std::make_shared<Tensor>();
  return [=] {
    Tape tape;
    std::vector<Var> vars;
    for (const Tensor& t : inputs) vars.push_back(Var::input(t, backward ? &tape : nullptr, true));
    vars.insert(vars.end(), weights.begin(), weights.end());
    for (const Var& w : weights) w.grad().restart();
    const Var y = op(vars);
    if (backward) tape.backward(y, y.value());
  };
}

using Op = std::function<Var(const std::vector<Var>&)>;

void add_passes(std::vector<Row>& rows, const std::string& name,
                const std::vector<Shape>& activations, const std::vector<Shape>& weights,
                const Op& op) {
  for (const bool backward : {false, true})
    rows.push_back({name + (backward ? ", with gradients" : ""), [=](const Device& device) {
                      std::vector<Var> vars;
                      for (const Shape& shape : weights) vars.push_back(weight(shape, device));
                      return pass(activations, vars, device, backward, op);
                    }});
}

std::vector<Row> copy_rows(std::int64_t scale) {
  return {{"copy of 1 GiB", [=](const Device& device) -> Work {
             const Tensor from = zeros({(1 << 28) / scale}, DType::f32, device);
             const Tensor to = zeros(from.shape(), DType::f32, device);
             return [=] { ops::add_into(to, from, /*add=*/false); };
           }}};
}

std::vector<Row> matrix_rows(std::int64_t scale) {
  std::vector<Row> rows;
  for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{8192, 8192, 8192},
                                {16384, 8192, 4096},
                                {8192, 16384, 8192},
                                {4096, 4096, 16384}})
    rows.push_back({"bf16 product", [=](const Device& device) -> Work {
                      const Tensor a = filled({m / scale, k}, DType::bf16, device);
                      const Tensor b = filled({n, k}, DType::bf16, device);
                      const Tensor c({m / scale, n}, DType::bf16, device);
                      return [=] { ops::gemm_nt(a, b, {}, c); };
                    }});
  return rows;
}

void add_language_rows(std::vector<Row>& rows, std::int64_t n) {
  for (const std::int64_t c : {768, 1600, 4096}) {
    const std::string shape = " [" + std::to_string(n) + ", " + std::to_string(c) + "]";
    add_passes(rows, "layer_norm" + shape, {{n, c}}, {{c}, {c}},
               [](const auto& v) { return layer_norm(v[0], v[1], v[2], 1e-5); });
    add_passes(rows, "rms_norm" + shape, {{n, c}}, {{c}},
               [](const auto& v) { return rms_norm(v[0], v[1], 1e-5); });
    add_passes(rows, "linear" + shape + " to " + std::to_string(4 * c), {{n, c}},
               {{4 * c, c}, {4 * c}}, [](const auto& v) { return linear(v[0], v[1], v[2]); });
    add_passes(rows, "gelu" + shape, {{n, c}}, {}, [](const auto& v) { return gelu(v[0]); });
    add_passes(rows, "swiglu" + shape, {{n, 2 * c}}, {},
               [](const auto& v) { return swiglu(v[0]); });
  }
}

std::string heads_of(const AttentionShape& s) {
  return ", heads " + std::to_string(s.heads) + " (" + std::to_string(s.kv_heads) + ") x " +
         std::to_string(s.head_dim);
}

// The causal ones of language models, and those both ways of image and text encoders.
void add_attention_rows(std::vector<Row>& rows, std::int64_t tokens) {
  struct Attention {
    std::int64_t heads, kv_heads, dim, length;
    bool causal;
  };
  for (const auto& [heads, kv_heads, dim, length, causal] : {Attention{12, 12, 64, 1024, true},
                                                             {25, 25, 64, 1024, true},
                                                             {32, 8, 64, 2048, true},
                                                             {32, 8, 128, 4096, true},
                                                             {12, 12, 64, 197, false},
                                                             {12, 12, 64, 512, false},
                                                             {12, 12, 64, 1024, false}}) {
    const AttentionShape s{std::max<std::int64_t>(1, tokens / length),
                           std::min(length, tokens),
                           heads,
                           kv_heads,
                           dim,
                           causal};
    add_passes(rows,
               "attention " + std::string(causal ? "" : "both ways ") + std::to_string(s.batch) +
                   " x " + std::to_string(s.seq_len) + heads_of(s),
               {{s.batch * s.seq_len, (heads + 2 * kv_heads) * dim}}, {},
               [s](const auto& v) { return attention(v[0], s); });
  }
}

// Queries of a text to the frames of half a minute of sound.
void add_cross_attention_rows(std::vector<Row>& rows, std::int64_t tokens) {
  constexpr std::int64_t kText = 128, kFrames = 1500;
  const AttentionShape s{
      std::max<std::int64_t>(1, tokens / kText), kText, 12, 12, 64, /*causal=*/false, kFrames};
  const std::int64_t width = s.heads * s.head_dim;
  add_passes(rows,
             "cross_attention " + std::to_string(s.batch) + " x " + std::to_string(s.seq_len) +
                 " to " + std::to_string(kFrames) + heads_of(s),
             {{s.batch * s.seq_len, width}, {s.batch * kFrames, 2 * width}}, {},
             [s](const auto& v) { return cross_attention(v[0], v[1], s); });
}

Row loss_row(std::int64_t n, std::int64_t vocab) {
  return {
      "cross_entropy [" + std::to_string(n) + ", " + std::to_string(vocab) + "], with gradients",
      [=](const Device& device) -> Work {
        const Tensor logits = filled({n, vocab}, DType::bf16, device);
        const Tensor targets({n}, DType::i32, device), one({1}, DType::f64, device);
        const Tensor zero({n}, DType::i32, Device::staging(device));
        std::ranges::fill(zero.host<std::int32_t>(), 0);
        copy(zero, targets);
        ops::fill(one, 1);
        synchronize(device);
        return [=] {
          Tape tape;
          const Var x = Var::input(logits, &tape, true);
          tape.backward(cross_entropy(x, targets), one);
        };
      }};
}

void add_optimizer_rows(std::vector<Row>& rows, std::int64_t n) {
  rows.push_back({"sum_squares of " + std::to_string(n), [=](const Device& device) -> Work {
                    const std::vector<Tensor> gradients{filled({n}, DType::f32, device)};
                    const Tensor sum({ops::ExactSum::kLimbs}, DType::i64, device);
                    return [=] { ops::sum_squares(gradients, sum); };
                  }});
  rows.push_back(
      {"adamw of " + std::to_string(n) + " bf16 weights", [=](const Device& device) -> Work {
         const auto state = [&] { return zeros({n}, DType::f32, device); };
         const std::vector<ops::AdamWTensor> weights{
             {zeros({n}, DType::bf16, device), state(), state(), state(), state(), 0.1}};
         const Tensor rates({ops::kAdamWRates}, DType::f64, device), scale({1}, DType::f64, device);
         ops::fill(rates, 0.5);
         ops::fill(scale, 1);
         return [=] { ops::adamw(weights, {}, rates, scale); };
       }});
}

void print(const std::string& name, const Rate& r, double bandwidth, double matrix_rate) {
  const bool moves = r.flops / matrix_rate < r.bytes / bandwidth;
  const double rate = (moves ? r.bytes : r.flops) / r.seconds;
  std::printf("| %s | %.1f us | %.1f %s | %.0f %% |\n", name.c_str(), 1e6 * r.seconds,
              rate / (moves ? 1e9 : 1e12), moves ? "GB/s" : "TFLOP/s",
              100 * rate / (moves ? bandwidth : matrix_rate));
  std::fflush(stdout);
}

void run(const Placement& on, std::int64_t scale) {
  double bandwidth = 0, matrix_rate = 0;
  for (const Row& row : copy_rows(scale)) {
    const Rate r = measure(row, on);
    bandwidth = std::max(bandwidth, r.bytes / r.seconds);
  }
  for (const Row& row : matrix_rows(scale)) {
    const Rate r = measure(row, on);
    matrix_rate = std::max(matrix_rate, r.flops / r.seconds);
  }
  std::printf("Copies reach %.0f GB/s, bf16 products %.1f TFLOP/s.\n\n", bandwidth / 1e9,
              matrix_rate / 1e12);
  std::printf("| operator | time | rate | share |\n|---|---|---|---|\n");
  const std::int64_t tokens = 16384 / scale;
  std::vector<Row> rows;
  add_language_rows(rows, tokens);
  add_attention_rows(rows, tokens);
  add_cross_attention_rows(rows, tokens);
  rows.push_back(loss_row(tokens, 50304));
  add_optimizer_rows(rows, (std::int64_t{1} << 28) / scale);
  for (const Row& row : rows) print(row.name, measure(row, on), bandwidth, matrix_rate);
}

}  // namespace
}  // namespace fusor::benchmark

int main(int argc, char** argv) try {
  const std::string device = argc > 1 ? argv[1] : "";
  fusor::require(device == "cuda" || device == "cpu", "ops_bench cuda|cpu [SCALE]");
  fusor::benchmark::run({.gpu = device == "cuda" ? 0 : -1}, argc > 2 ? std::stoll(argv[2]) : 1);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "ops_bench: %s\n", error.what());
  return 1;
}
