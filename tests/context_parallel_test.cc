#include <gmock/gmock.h>

#include "models/gpt.h"
#include "ops/row_map.h"
#include "runtime/world.h"
#include "tests/near.h"

// A GPT whose sequences are spread over ranks, against the same on one rank.
namespace fusor {
namespace {

constexpr std::int64_t kSamples = 2, kSeqLen = 24, kFirstSample = 5;

GptConfig classic() {
  return resolve(
      {.vocab_size = 61, .seq_len = 32, .layers = 2, .width = 24, .heads = 4, .dropout = 0.2});
}
GptConfig modern() {
  GptConfig c = classic();
  c.kv_heads = 2, c.mlp_hidden = 40;
  c.norm = Norm::rms_norm, c.activation = Activation::swiglu, c.positions = Positions::rotary;
  c.bias = c.tied_embeddings = false;
  return resolve(c);
}

void bind(const std::vector<Parameter*>& parameters, DType dtype) {
  std::uint64_t seed = 0;
  for (Parameter* p : parameters)
    p->var = Var::parameter(noise(p->shape, dtype, ++seed),
                            Tensor(p->shape, acc_dtype(dtype), Device::heap(/*poison=*/true)));
}

TokenBatch batch_of(const RowMap& rows) {
  const Shape all{kSamples * kSeqLen, 1}, here{kSamples * rows.local_len};
  std::vector<std::int64_t> from;
  for (std::int64_t r = 0; r < here[0]; ++r)
    from.push_back(rows.global_row(r) - kFirstSample * kSeqLen);
  const Tensor targets = noise_ids(all, 61, 2);
  for (std::int64_t i = 0; i < all[0]; i += 7) set(targets, i, -1);  // ignored
  return {.tokens = rows_of(noise_ids(all, 61, 1), from).view(here),
          .targets = rows_of(targets, from).view(here),
          .samples = kSamples,
          .seq_len = kSeqLen};
}

// The loss of one micro-batch and the gradients of all weights, summed over the ranks of cp.
struct Sums {
  double loss = 0;
  std::vector<double> gradients;
};
Sums sums_of(const GptConfig& config, const Mesh& mesh, DType dtype) {
  Gpt model(config, mesh);
  const std::vector<Parameter*> parameters = parameters_of(model);
  bind(parameters, dtype);
  Tape tape;
  const Var loss =
      model.loss(batch_of(RowMap::zigzag(kFirstSample, kSeqLen, mesh.cp.rank(), mesh.cp.size())),
                 {.tape = &tape, .training = true, .seed = 3, .first_sample = kFirstSample});
  Tensor one({1}, DType::f64);
  set(one, 0, 1);
  tape.backward(loss, one);
  const auto sum = [&](const Tensor& t) {
    mesh.cp->all_reduce(t, ReduceOp::sum, "sum").wait();
    return doubles(t);
  };
  Sums sums;
  sums.loss = sum(loss.value())[0];
  for (const Parameter* p : parameters)
    for (const double x : sum(p->var.grad().tensor())) sums.gradients.push_back(x);
  return sums;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  double apart = 0, scale = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    apart = std::max(apart, std::abs(a.at(i) - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return apart / scale;
}

class ContextParallel : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Cp, ContextParallel, testing::Values(2, 3, 4));

TEST_P(ContextParallel, GptIsThatOfOneRank) {
  for (const GptConfig& config : {classic(), modern()})
    for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}}) {
      const Sums want = sums_of(config, {}, dtype);
      run_ranks(GetParam(), [&](World& world) {
        const Sums got = sums_of(config, Mesh::over(world.group(), {.cp = world.size()}), dtype);
        EXPECT_NEAR(got.loss / want.loss, 1, tolerance) << dtype;
        EXPECT_LT(worst(got.gradients, want.gradients), tolerance) << dtype;
      });
    }
}

}  // namespace
}  // namespace fusor
