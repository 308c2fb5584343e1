// The kernels that are no row of the ladder, on CUDA against the CPU.
#include <gmock/gmock.h>

#include <array>
#include <functional>

#include "ops/adamw.h"
#include "ops/attention_block.h"
#include "ops/blocks.h"
#include "ops/columns.h"
#include "ops/cross_entropy.h"
#include "ops/decode_attention.h"
#include "ops/expert_dispatch.h"
#include "ops/fill.h"
#include "ops/grad_norm.h"
#include "ops/pixels.h"
#include "ops/running_mean.h"
#include "ops/soft_cross_entropy.h"
#include "ops/top_k_router.h"
#include "tests/another_order.h"
#include "tests/cuda_gpu.h"
#include "tests/rungs.h"

namespace fusor {
namespace {

using Results = std::vector<Tensor>;

// What an operator gives on a device, of the same inputs on each.
struct Row {
  const char* name;
  std::function<Results(const Device&, DType)> on;
  double f64 = ladder::kF64.value;  // tolerances: fractions of the largest element
  double f32 = ladder::kF32.value;
  double bf16 = ladder::kBf16.value;
  double f16 = ladder::kF16.value;
};
constexpr double kExact = 0;

Tensor drawn(const Shape& shape, DType dtype, const Device& device, std::uint64_t seed) {
  return cast(cast(noise(shape, DType::f64, seed), DType::bf16), dtype, device);
}
Tensor values(const std::vector<double>& of, DType dtype, const Device& device) {
  const Tensor t({std::ssize(of)}, dtype, device);
  fill(t, [&](std::size_t i) { return of[i]; });
  return t;
}
Tensor zeros(const Shape& shape, DType dtype, const Device& device) {
  const Tensor t(shape, dtype, device);
  fill(t, [](std::size_t) { return 0.0; });
  return t;
}

Results adamw(const Device& device, DType dtype) {
  const ops::AdamW settings{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6};
  const DType acc = acc_dtype(dtype);
  std::vector<ops::AdamWTensor> tensors;
  for (const Shape& shape : {Shape{3, 7}, Shape{2 * ops::Blocks::kBlock + 5}, Shape{1}}) {
    const auto seed = tensors.size();
    const Tensor weight = drawn(shape, dtype, device, seed);
    tensors.push_back({weight, dtype == acc ? weight : drawn(shape, acc, device, seed),
                       zeros(shape, acc, device), zeros(shape, acc, device),
                       drawn(shape, acc, device, seed + 10), 0.1 * static_cast<double>(seed)});
  }
  const Tensor grad_scale = values({0.25}, DType::f64, device);
  for (std::int64_t step = 1; step <= 3; ++step) {
    const auto rates = ops::adamw_rates(settings, 0.02, step);
    ops::adamw(tensors, settings, values({rates.begin(), rates.end()}, DType::f64, device),
               grad_scale);
  }
  Results out;
  for (const ops::AdamWTensor& t : tensors) out.insert(out.end(), {t.weight, t.master, t.m, t.v});
  return out;
}

Results running_means(const Device& device, DType dtype) {
  const DType acc = acc_dtype(dtype);
  std::vector<ops::RunningMean> means;
  Results out;
  for (const Shape& shape : {Shape{7}, Shape{ops::Blocks::kBlock + 5}, Shape{64}}) {
    const auto seed = means.size();
    const Tensor value = drawn(shape, dtype, device, seed);
    means.push_back({value, dtype == acc ? value : drawn(shape, acc, device, seed),
                     drawn(shape, acc, device, seed + 10), 0.1 + 0.2 * static_cast<double>(seed)});
    out.insert(out.end(), {means.back().value, means.back().master});
  }
  ops::follow_means(means, 3, values({0.5}, DType::f64, device));
  ops::follow_means(means, 3, values({0}, DType::f64, device));  // leaves them
  return out;
}

Results gradient_norm(const Device& device, DType dtype) {
  Results tensors;
  for (const Shape& shape : {Shape{3, 7}, Shape{0}, Shape{2 * ops::Blocks::kBlock + 45}, Shape{1}})
    tensors.push_back(drawn(shape, dtype, device, tensors.size()));
  const Tensor sum({ops::ExactSum::kLimbs}, DType::i64, device);
  ops::sum_squares(tensors, sum);
  const Tensor scale({1}, DType::f64, device), norm({1}, DType::f64, device);
  ops::clip_scale(sum, values({0.5}, DType::f64, device), 1, scale, norm);
  return {scale, norm};
}

Results fills(const Device& device, DType dtype) {
  const Tensor value({1001}, dtype, device), normal({1001}, dtype, device),
      box({1003}, dtype, device);
  ops::fill(value, 1.5);
  ops::fill_normal(normal, 2, random_key(7, "init/w"), {.first = 3});
  ops::fill_normal(box, 2, random_key(7, "init/w"),
                   {.first = 50, .begin = 37, .row = 100, .stride = 700});
  return {value, normal, box};
}

Results conversions(const Device& device, DType from) {
  Results out;
  const Tensor x = cast(noise({1003}, DType::f64, 1), from, device);
  for (const DType to : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    out.emplace_back(Shape{1003}, to, device);
    ops::convert(x, out.back());
    out.emplace_back(Shape{1001}, to, device);  // not aligned
    ops::convert(x.slice(1, {1001}), out.back());
  }
  return out;
}

Results columns(const Device& device, DType dtype) {
  Results out;
  for (const bool add : {false, true}) {
    const Tensor to = drawn({7, 13}, dtype, device, 1);
    ops::copy_columns({drawn({7, 11}, dtype, device, 2), 1, 8}, {to, 3, 8}, add);
    ops::copy_columns({drawn({7, 11}, acc_dtype(dtype), device, 3), 2, 3}, {to, 10, 3}, add);
    out.push_back(to);
  }
  return out;
}

// Five tokens at once, then three more, one at a time, of two sequences.
Results decoding(const Device& device, DType dtype) {
  AttentionShape shape{.batch = 2, .seq_len = 5, .heads = 4, .kv_heads = 2, .head_dim = 6};
  const KvCache cache{zeros({2, 9, 12}, dtype, device), zeros({2, 9, 12}, dtype, device)};
  Results out{cached_attention(drawn({10, 48}, dtype, device, 1), cache, shape, 0)};
  shape.seq_len = 1;
  for (std::int64_t position = 5; position < 8; ++position)
    out.push_back(
        cached_attention(drawn({2, 48}, dtype, device, static_cast<std::uint64_t>(position)), cache,
                         shape, position));
  out.insert(out.end(), {cache.k, cache.v});
  return out;
}

// Queries 4 to 8 of each sequence see what is before them, and then nine keys from elsewhere.
Results attention_in_blocks(const Device& device, DType dtype) {
  const AttentionShape shape{.batch = 2, .seq_len = 9, .heads = 4, .kv_heads = 2, .head_dim = 8};
  const DType acc = acc_dtype(dtype);
  const ops::AttentionBlock own{shape, 4, ops::Visible::causal(4, 5)},
      others{shape, 4, ops::Visible::all(9)};
  const Tensor qkv = drawn({18, 64}, dtype, device, 1), kv = drawn({18, 32}, dtype, device, 2);
  const Tensor y = zeros({18, 32}, acc, device), lse = zeros({2, 4, 9}, acc, device);
  ops::attention_block(own, qkv, qkv, y, lse, /*merge=*/false);
  ops::attention_block(others, qkv, kv, y, lse, /*merge=*/true);
  const Tensor dy = drawn({18, 32}, dtype, device, 3), dqkv = zeros({18, 64}, acc, device),
               dkv = drawn({18, 32}, acc, device, 4);
  const ops::AttentionSaved saved{qkv, cast(y, dtype, device), lse};
  ops::attention_block_backward(own, saved, qkv, dy, {dqkv, dqkv, false, false});
  ops::attention_block_backward(others, saved, kv, dy, {dqkv, dkv, true, true});
  return {y, lse, dqkv, dkv};
}

Results choices(const Device& device, DType dtype) {
  if (is_half(dtype)) return {};
  const Tensor logits = drawn({301, 12}, dtype, device, 1);  // bf16 values: some are equal
  return {top_k(logits, 1), top_k(logits, 3), top_k(logits, 12)};
}

Results routing(const Device& device, DType) {
  constexpr std::int64_t kSeqLen = 80, kSamples = 3, kExperts = 7, kCapacity = 60;
  const std::int64_t n = kSamples * kSeqLen;
  const Tensor chosen = cast(noise_ids({n, 2}, kExperts, 1), DType::i32, device);
  Results out;
  for (const auto& [map, rows] : {std::pair(RowMap::whole(2, kSeqLen), n),
                                  std::pair(RowMap::zigzag(2, kSeqLen, 1, 2), n / 2)}) {
    const Tensor part = cast(noise_ids({rows, 2}, kExperts, 2), DType::i32, device);
    out.push_back(global_choices(part, map));
    const Tensor all = global_choices(chosen, RowMap::whole(2, kSeqLen));
    const Routing r = route_tokens(all, rows, map, kExperts, kCapacity);
    out.insert(out.end(), {r.slots, r.sources, r.counts});
  }
  return out;
}

// The gradient of the logits with a pull towards balance.
Results balance(const Device& device, DType dtype) {
  if (is_half(dtype)) return {};
  Tape tape;
  const Tensor logits = drawn({37, 5}, dtype, device, 1), chosen = top_k(logits, 2);
  const Var x = Var::input(logits, &tape, true);
  const Balance pull{values({20, 14, 30, 0, 10}, DType::i32, device), 0.1};
  const Var y = router_weights(x, chosen, pull);
  tape.backward(y, drawn(y.shape(), dtype, device, 2));
  return {y.value(), x.grad().tensor()};
}

Results ignored_targets(const Device& device, DType dtype) {
  Tape tape;
  const Tensor targets = cast(noise_ids({9}, 40, 1), DType::i32, device);
  for (const std::int64_t row : {0, 5}) set(targets, row, kIgnoredTarget);
  const Tensor logits = drawn({9, 40}, dtype, device, 2);
  const Var x = Var::input(logits, &tape, true);
  const Var loss = cross_entropy(x, targets);
  tape.backward(loss, values({0.5}, DType::f64, device));
  return {loss.value(), x.grad().tensor()};
}

// Labels of images, mixed; and how many are found, of bf16 values, some of which are equal.
Results classes(const Device& device, DType dtype) {
  const Tensor labels = cast(noise_ids({57}, 40, 1), DType::i32, device),
               others = cast(noise_ids({57}, 40, 2), DType::i32, device);
  set(labels, 5, kIgnoredTarget);
  const Tensor shares({57}, DType::f32, device), hits({2}, DType::f64, device);
  ops::fill(shares, 0.25);
  top_k_hits(drawn({57, 40}, dtype, device, 3), labels, std::array<std::int64_t, 2>{1, 5}, hits);
  return {soft_targets({labels}, 40), soft_targets({labels, others, shares}, 40, 0.1), hits};
}

Results pixels(const Device& device, DType dtype) {
  const Tensor bytes({2, 3, 5, 3}, DType::u8), there({2, 3, 5, 3}, DType::u8, device);
  for (std::size_t i = 0; i < bytes.host<std::uint8_t>().size(); ++i)
    bytes.host<std::uint8_t>()[i] = static_cast<std::uint8_t>(37 * i);
  copy(bytes, there);
  const PixelScale scale{.mean = {0.4f, 0.5f, 0.6f}, .std = {0.2f, 0.3f, 0.4f}};
  const Tensor floats = drawn({2, 3, 5, 3}, DType::f32, device, 1);
  return {scaled_pixels(there, scale, dtype), scaled_pixels(floats, scale, dtype)};
}

const Row kRows[] = {
    {"adamw", adamw},
    {"classes", classes, ladder::kF32.value},
    {"pixels", pixels, ladder::kF32.value},  // computed in f32
    {"running_means", running_means},
    {"gradient_norm", gradient_norm, 1e-13, 1e-13, 1e-13, 1e-13},
    {"fills", fills, ladder::kF32.value},  // normals are as good as f32 in every dtype
    {"conversions", conversions, kExact, kExact, kExact, kExact},
    {"columns", columns, kExact, kExact},
    {"decoding", decoding},
    {"attention_in_blocks", attention_in_blocks},
    {"choices", choices, kExact, kExact},
    {"routing", routing, kExact, kExact, kExact, kExact},
    {"balance", balance},
    {"ignored_targets", ignored_targets},
};

class CudaOps : public OnCuda, public testing::WithParamInterface<Row> {};
INSTANTIATE_TEST_SUITE_P(, CudaOps, testing::ValuesIn(kRows),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(CudaOps, AgreesWithTheCpuInEveryOrder) {
  const Row& row = GetParam();
  for (const auto& [dtype, tolerance] : {std::pair(DType::f64, row.f64),
                                         {DType::f32, row.f32},
                                         {DType::bf16, row.bf16},
                                         {DType::f16, row.f16}}) {
    const Results want = row.on(Device::heap(true), dtype);
    const Results got = row.on(Device::cuda(0, true), dtype);
    const AnotherOrder order;
    const Results again = row.on(Device::cuda(0, true), dtype);
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_LE(distance(got[i], want[i]), tolerance) << dtype << ", result " << i;
      EXPECT_EQ(doubles(again[i]), doubles(got[i])) << dtype << ", result " << i;
    }
  }
}

}  // namespace
}  // namespace fusor
