// Batch norm over ranks, and running statistics: what every layout makes of them.
#include "parallel/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/add.h"
#include "parallel/optimizer_step.h"
#include "runtime/world.h"
#include "tests/whole_tensors.h"

namespace fusor {
namespace {

constexpr std::int64_t kMicros = 4, kRows = 6, kChannels = 5;
constexpr double kRate = 0.25;

struct Layout {
  int dp = 1, zero = 0;
  Reduce reduce = Reduce::exact;
  DType dtype = DType::f64;
};
std::string text_of(const Layout& l) {
  return "dp " + std::to_string(l.dp) + " zero " + std::to_string(l.zero) +
         (l.reduce == Reduce::fast ? " fast" : " exact");
}

Tensor batch_of(std::int64_t step, std::int64_t micro) {
  return noise({kRows, kChannels}, DType::f64, static_cast<std::uint64_t>(step * kMicros + micro));
}
Tensor slope_of(std::int64_t micro) {
  return noise({kRows, kChannels}, DType::f64, static_cast<std::uint64_t>(1000 + micro));
}

// A layer and the end of its steps, on one rank.
struct Training {
  Layout layout;
  Mesh mesh;
  BatchNormLayer layer{"bn", kChannels, {.running_rate = kRate}};
  std::vector<Parameter*> weights{&layer.gain, &layer.bias, &layer.mean, &layer.variance};
  ParameterStore store{{weights},
                       {.compute = layout.dtype,
                        .zero = layout.zero,
                        .reduce = layout.reduce,
                        .micros = kMicros / layout.dp},
                       mesh,
                       Device::heap(true)};
  OptimizerStep end{{&store}, {}, mesh, Device()};

  Training(const Layout& layout, const Mesh& mesh) : layout(layout), mesh(mesh) {}

  void step(std::int64_t number) {
    for (std::int64_t i = 0; i < kMicros / layout.dp; ++i) {
      const std::int64_t micro = mesh.place.dp * (kMicros / layout.dp) + i;
      store.begin_micro(i);
      store.fetch(0);
      Tape tape;
      const Var x = Var::input(cast(batch_of(number, micro), layout.dtype), &tape, true);
      const Var y = layer(x, /*training=*/true, /*relu=*/true);
      tape.backward(y, cast(slope_of(micro), layout.dtype));
      store.release(0);
      store.end_micro(i);
    }
    end.run({.lr = 0.1, .step = number + 1, .weight_decay = 0.1}, 1);
  }
};

struct Trained {
  WholeTensors state;
  double norm = 0;
};
// `from`: the state that step `first` begins with, or none: as drawn.
void train(const Layout& layout, std::int64_t first, std::int64_t last, const WholeTensors* from,
           Trained& result) {
  WholeTensors shares;
  run_ranks(layout.dp, [&](World& world) {
    Training training(layout, Mesh::over(world.group(), {.dp = layout.dp}));
    training.store.initialize(3);
    if (from) {
      from->read(training.store.state(true));
      training.store.publish();
    }
    for (std::int64_t step = first; step < last; ++step) training.step(step);
    result.state.add(training.store.state(true));
    shares.add_share(training.store.share_of_state(true));
    if (world.rank() == 0) result.norm = at(training.end.grad_norm(), 0);
  });
  EXPECT_EQ(shares.gap(), "") << text_of(layout);
  EXPECT_EQ(shares.values, result.state.values) << text_of(layout);
}

// By the definition: two steps of the mean over a step's micro-batches.
std::vector<double> followed(double start, double (*of)(const std::vector<double>&)) {
  std::vector<double> values(kChannels, start);
  for (std::int64_t step = 0; step < 2; ++step)
    for (std::size_t c = 0; c < kChannels; ++c) {
      double sum = 0;
      for (std::int64_t micro = 0; micro < kMicros; ++micro) {
        const std::vector<double> x = doubles(batch_of(step, micro));
        std::vector<double> channel;
        for (std::size_t r = 0; r < kRows; ++r) channel.push_back(x[r * kChannels + c]);
        sum += of(channel);
      }
      values[c] += kRate * (sum / kMicros - values[c]);
    }
  return values;
}
double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}
double variance_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += (v - mean_of(x)) * (v - mean_of(x));
  return sum / static_cast<double>(x.size() - 1);
}

TEST(RunningStatistics, FollowTheMeansOfAStepsMicroBatches) {
  Trained trained;
  train({}, 0, 2, nullptr, trained);
  const auto expect_near = [&](const char* name, const std::vector<double>& want) {
    const std::vector<double>& got = trained.state.values.at(name);
    for (std::size_t c = 0; c < kChannels; ++c) EXPECT_NEAR(got[c], want[c], 1e-14) << name;
  };
  expect_near("weights/bn.running_mean", followed(0, mean_of));
  expect_near("weights/bn.running_var", followed(1, variance_of));
}

TEST(RunningStatistics, HaveNoOptimizerStateAndNoPartInTheNorm) {
  Trained trained;
  train({}, 0, 1, nullptr, trained);
  EXPECT_EQ(trained.state.values.count("adam.m/bn.weight"), 1u);
  EXPECT_EQ(trained.state.values.count("adam.m/bn.running_mean"), 0u);
  EXPECT_EQ(trained.state.values.count("adam.v/bn.running_var"), 0u);
  Training alone({}, Mesh());  // the same step, whose gradients are read
  alone.store.initialize(3);
  alone.step(0);
  double squares = 0;
  for (const auto& [box, gradient] : alone.store.gradients())
    if (box.name.find("running") == std::string::npos)
      for (const double g : doubles(gradient)) squares += g * g;
  EXPECT_NEAR(trained.norm, std::sqrt(squares), 1e-12);
}

TEST(RunningStatistics, StayWhereAStepHasNoNorm) {
  Training training({}, Mesh());
  training.store.initialize(3);
  training.store.begin_micro(0);
  Tape tape;
  const Tensor x = batch_of(0, 0);
  set(x, 7, INFINITY);
  const Var y = training.layer(Var::input(x, &tape, true), /*training=*/true);
  tape.backward(y, slope_of(0));
  training.store.end_micro(0);
  for (std::int64_t i = 1; i < kMicros; ++i)
    training.store.begin_micro(i), training.store.end_micro(i);
  training.end.run({.lr = 0.1, .clip = 1}, 1);
  for (const auto& [box, weight] : training.store.state(false))
    for (const double value : doubles(weight)) EXPECT_TRUE(std::isfinite(value)) << box.name;
}

TEST(RunningStatistics, AreTheSameToTheBitUnderEveryLayout) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    Trained want;
    train({.dtype = dtype}, 0, 2, nullptr, want);
    for (const int dp : {1, 2, 4})
      for (const int zero : {0, 1, 2, 3}) {
        Trained got;
        const Layout layout{.dp = dp, .zero = zero, .dtype = dtype};
        train(layout, 0, 2, nullptr, got);
        EXPECT_EQ(got.state.values, want.state.values) << text_of(layout) << " " << dtype;
        EXPECT_EQ(got.norm, want.norm) << text_of(layout) << " " << dtype;
      }
  }
}

TEST(RunningStatistics, AreTheSameWithFastSumsToRounding) {
  Trained want, got;
  train({}, 0, 2, nullptr, want);
  train({.dp = 2, .zero = 1, .reduce = Reduce::fast}, 0, 2, nullptr, got);
  for (const auto& [name, values] : want.state.values)
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(got.state.values.at(name)[i], values[i], 1e-12) << name;
}

TEST(RunningStatistics, GoOnFromACheckpointOnAnotherLayout) {
  Trained whole, half, resumed;
  train({}, 0, 2, nullptr, whole);
  train({.dp = 2, .zero = 3}, 0, 1, nullptr, half);
  train({.dp = 4, .zero = 1}, 1, 2, &half.state, resumed);
  EXPECT_EQ(resumed.state.values, whole.state.values);
}

// What a layer makes of rows: y, then the gradients of x, gain and bias.
struct Made {
  Tensor y, dx, dgain, dbias;
};
Made made(const Tensor& x, const Tensor& dy, const Group& statistics) {
  BatchNormLayer layer("bn", x.dim(1), {}, statistics);
  std::vector<Tensor> gradients;
  for (Parameter* p : {&layer.gain, &layer.bias, &layer.mean, &layer.variance}) {
    const Tensor weight = noise(p->shape, DType::f64, gradients.size());
    gradients.emplace_back(p->shape, DType::f64);
    p->var = Var::parameter(weight, gradients.back());
  }
  Tape tape;
  const Var in = Var::input(x, &tape, true);
  const Var y = layer(in, true, true);
  tape.backward(y, dy);
  return {y.value(), in.grad().tensor(), gradients[0], gradients[1]};
}

TEST(BatchNormOverRanks, IsThatOfOneRankWithAllRows) {
  constexpr int kRanks = 4;
  const Tensor x = noise({kRanks * kRows, kChannels}, DType::f64, 1),
               dy = noise(x.shape(), DType::f64, 2);
  const Made want = made(x, dy, {});
  std::vector<Made> got(kRanks);
  run_ranks(kRanks, [&](World& world) {
    const std::int64_t first = world.rank() * kRows;
    got[static_cast<std::size_t>(world.rank())] =
        made(x.rows(first, first + kRows), dy.rows(first, first + kRows), world.group());
  });
  const Tensor dgain({kChannels}, DType::f64), dbias({kChannels}, DType::f64);
  for (std::int64_t rank = 0; rank < kRanks; ++rank) {
    const Made& m = got[static_cast<std::size_t>(rank)];
    EXPECT_LE(distance(m.y, want.y.rows(rank * kRows, (rank + 1) * kRows)), 1e-14) << rank;
    EXPECT_LE(distance(m.dx, want.dx.rows(rank * kRows, (rank + 1) * kRows)), 1e-14) << rank;
    ops::add_into(dgain, m.dgain, rank > 0);
    ops::add_into(dbias, m.dbias, rank > 0);
  }
  EXPECT_LE(distance(dgain, want.dgain), 1e-14);  // each rank has its rows' share
  EXPECT_LE(distance(dbias, want.dbias), 1e-14);
}

TEST(BatchNorm, KeepsItsDigitsWhereTheMeanIsLarge) {
  constexpr std::int64_t kMany = 5000;
  const Tensor x = noise({kMany, 3}, DType::f64, 7), shifted({kMany, 3}, DType::f32),
               small({kMany, 3}, DType::f64);
  const std::vector<double> from = doubles(x);
  fill(shifted, [&](std::size_t i) { return 1000 + from[i]; });
  const std::vector<double> stored = doubles(shifted);
  fill(small, [&](std::size_t i) { return stored[i] - 1000; });  // exact
  const auto norm = [](const Tensor& of) {
    const Tensor gain({3}, of.dtype()), bias({3}, of.dtype());
    fill(gain, [](std::size_t) { return 1; });
    fill(bias, [](std::size_t) { return 0; });
    return batch_norm(Var::input(of), {Var::parameter(gain), Var::parameter(bias)}).value();
  };
  EXPECT_LE(distance(norm(shifted), norm(small)), 2e-4);  // 1000 has 2^-14 as its last digit
}

}  // namespace
}  // namespace fusor
