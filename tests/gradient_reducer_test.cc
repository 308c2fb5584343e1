// The reduction of gradients over micro-batches and ranks.
#include "parallel/gradient_reducer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>

#include "parallel/parameter_store.h"
#include "runtime/world.h"
#include "tests/near.h"

namespace fusor {
namespace {

// Three weights; which of them a micro-batch uses depends on its global index.
struct Weights {
  Parameter a{"a", {5}, {}}, b{"b", {300}, {}}, c{"c", {7, 9}, {}};
  std::vector<Parameter*> all() { return {&a, &b, &c}; }
};

double contribution(std::int64_t micro, std::size_t weight, std::int64_t element) {
  return uniform(random_key(3, "gradient", static_cast<std::uint64_t>(micro)),
                 weight * 1000 + static_cast<std::uint64_t>(element));
}
bool uses(std::int64_t micro, std::size_t weight) { return (micro + weight) % 3 != 0; }

// One micro-batch's backward pass, through a tape, so that readiness is told as in a run.
void backward(std::int64_t micro, const std::vector<Parameter*>& weights) {
  Tape tape;
  const Var x = Var::input(Tensor({1}, DType::f64), &tape, true);
  Var y = x;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!uses(micro, i)) continue;
    y = record(Tensor({1}, DType::f64), {y, weights[i]->var},
               [=, up = y.grad(), dw = weights[i]->var.grad()](const Tensor& dy) {
                 dw.accumulate([&](const Tensor& to, bool add) {
                   for (std::int64_t e = 0; e < to.size(); ++e)
                     set(to, e, (add ? at(to, e) : 0) + contribution(micro, i, e));
                 });
                 up.pass(dy);
               });
  }
  tape.backward(y, Tensor({1}, DType::f64));
}

// The reduced gradients of 12 micro-batches by parameter, over `ranks`, as the ranks see them.
std::map<std::string, std::vector<double>> reduced(int ranks, Reduce reduce,
                                                   std::int64_t bucket_bytes, int zero = 0,
                                                   int shard = 0) {
  std::map<std::string, std::vector<double>> whole;
  Weights names;
  for (const Parameter* p : names.all())
    whole["gradients/" + p->pieces[0].name].resize(static_cast<std::size_t>(num_elements(p->shape)),
                                                   NAN);
  std::mutex mutex;
  run_ranks(ranks, [&](World& world) {
    Weights weights;
    const std::int64_t micros = 12 / ranks;
    ParameterStore store({weights.all()},
                         {.compute = DType::f64,
                          .zero = zero,
                          .reduce = reduce,
                          .micros = micros,
                          .bucket_bytes = bucket_bytes},
                         Mesh::over(world.group(), {.dp = ranks, .shard = shard}),
                         Device::heap(true));
    for (int step = 0; step < 2; ++step) {
      for (std::int64_t i = 0; i < micros; ++i) {
        store.begin_micro(i);
        backward(world.rank() * micros + i, weights.all());
        store.end_micro(i);
      }
      gather_texts(world.group(), "loss", "as the trainer does");
      store.finish_reduction();
    }
    const std::lock_guard lock(mutex);
    for (const auto& [box, tensor] : store.gradients()) {
      const std::vector<double> values = doubles(tensor);
      for_each_common_run(box.begin, box.shape, Shape(box.global.size(), 0), box.global,
                          [&](std::int64_t from, std::int64_t to, std::int64_t count) {
                            for (std::int64_t i = 0; i < count; ++i) {
                              double& g = whole[box.name][static_cast<std::size_t>(to + i)];
                              const double mine = values[static_cast<std::size_t>(from + i)];
                              EXPECT_TRUE(std::isnan(g) || g == mine) << box.name;
                              g = mine;
                            }
                          });
    }
  });
  return whole;
}

TEST(GradientReducer, SumsWhateverTheRanksAndBucketsAndUnusedWeights) {
  Weights weights;
  for (const int ranks : {1, 2, 3, 4, 12})
    for (const std::int64_t bucket : {64, 1024, 1 << 20})
      for (const Reduce reduce : {Reduce::fast, Reduce::exact})
        for (const int zero : {0, 1, 2, 3})
          for (const int shard : ranks == 4 ? std::vector{0, 2} : std::vector{0}) {
            const auto actual = reduced(ranks, reduce, bucket, zero, shard);
            for (std::size_t i = 0; i < 3; ++i) {
              const auto& sum = actual.at("gradients/" + weights.all()[i]->pieces[0].name);
              for (std::size_t e = 0; e < sum.size(); ++e) {
                double expected = 0;
                for (std::int64_t micro = 0; micro < 12; ++micro)
                  if (uses(micro, i))
                    expected += contribution(micro, i, static_cast<std::int64_t>(e));
                ASSERT_NEAR(sum[e], expected, 1e-12)
                    << ranks << " ranks, bucket " << bucket << ", zero " << zero;
              }
            }
          }
}

TEST(GradientReducer, ExactGivesTheSameBitsForAnyRanksBucketsAndSharding) {
  const auto one = reduced(1, Reduce::exact, 1 << 20);
  for (const int ranks : {2, 3, 4, 6, 12})
    for (const std::int64_t bucket : {64, 1 << 20})
      for (const int zero : {0, 1, 2, 3})
        EXPECT_EQ(reduced(ranks, Reduce::exact, bucket, zero), one)
            << ranks << " ranks, bucket " << bucket << ", zero " << zero;
  for (const int shard : {2, 3, 4, 6})
    for (const int zero : {1, 3})
      EXPECT_EQ(reduced(12, Reduce::exact, 64, zero, shard), one) << shard << " ranks shard";
}

}  // namespace
}  // namespace fusor
