// The reduction of gradients over micro-batches and ranks.
#include "parallel/gradient_reducer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "parallel/parameter_store.h"
#include "runtime/world.h"
#include "tests/whole_tensors.h"

namespace fusor {
namespace {

// Three weights; which of them a micro-batch uses depends on its global index.
struct Weights {
  Parameter a{"a", {5}, {}}, b{"b", {300}, {}}, c{"c", {7, 9}, {}};
  std::vector<Parameter*> all() { return {&a, &b, &c}; }
};

// Of many bits, so that sums round, and in another order to other bits.
double contribution(std::int64_t micro, std::size_t weight, std::int64_t element) {
  return std::exp(4.0 * uniform(random_key(3, "gradient", static_cast<std::uint64_t>(micro)),
                                weight * 1000 + static_cast<std::uint64_t>(element)));
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

// The reduced gradients of 12 micro-batches by parameter, over dp and cp, as the ranks see them.
std::map<std::string, std::vector<double>> reduced(const MeshShape& shape, Reduce reduce,
                                                   std::int64_t bucket_bytes, int zero = 0) {
  WholeTensors whole;
  run_ranks(shape.size(), [&](World& world) {
    Weights weights;
    const Mesh mesh = Mesh::over(world.group(), shape);
    const std::int64_t micros = 12 / world.size();
    const std::int64_t first = (mesh.place.cp * shape.dp + mesh.place.dp) * micros;
    ParameterStore store({weights.all()},
                         {.compute = DType::f64,
                          .zero = zero,
                          .reduce = reduce,
                          .micros = micros,
                          .bucket_bytes = bucket_bytes},
                         mesh, Device::heap(true));
    for (int step = 0; step < 2; ++step) {
      for (std::int64_t i = 0; i < micros; ++i) {
        store.begin_micro(i);
        backward(first + i, weights.all());
        store.end_micro(i);
      }
      gather_texts(world.group(), "loss", "as the trainer does");
      store.finish_reduction();
    }
    whole.add(store.gradients());
  });
  EXPECT_EQ(whole.gap(), "");
  return whole.values;
}

TEST(GradientReducer, SumsWhateverTheRanksAndBucketsAndUnusedWeights) {
  Weights weights;
  for (const MeshShape& shape : {MeshShape{},
                                 {.dp = 2},
                                 {.dp = 3},
                                 {.dp = 4},
                                 {.dp = 4, .shard = 2},
                                 {.dp = 2, .cp = 3},
                                 {.dp = 12}})
    for (const std::int64_t bucket : {64, 1024, 1 << 20})
      for (const Reduce reduce : {Reduce::fast, Reduce::exact})
        for (const int zero : {0, 1, 2, 3}) {
          const auto actual = reduced(shape, reduce, bucket, zero);
          for (std::size_t i = 0; i < 3; ++i) {
            const auto& sum = actual.at("gradients/" + weights.all()[i]->pieces[0].name);
            for (std::size_t e = 0; e < sum.size(); ++e) {
              double expected = 0;
              for (std::int64_t micro = 0; micro < 12; ++micro)
                if (uses(micro, i))
                  expected += contribution(micro, i, static_cast<std::int64_t>(e));
              ASSERT_NEAR(sum[e], expected, 1e-11)
                  << shape.size() << " ranks, bucket " << bucket << ", zero " << zero;
            }
          }
        }
}

TEST(GradientReducer, ExactGivesTheSameBitsForAnyRanksBucketsAndSharding) {
  const auto one = reduced({}, Reduce::exact, 1 << 20);
  for (const MeshShape& shape : {MeshShape{.dp = 2},
                                 {.dp = 3},
                                 {.dp = 4},
                                 {.dp = 6},
                                 {.dp = 12},
                                 {.dp = 12, .shard = 2},
                                 {.dp = 12, .shard = 3},
                                 {.dp = 12, .shard = 4},
                                 {.dp = 12, .shard = 6},
                                 {.cp = 2},
                                 {.dp = 3, .cp = 2},
                                 {.dp = 2, .cp = 3},
                                 {.dp = 2, .cp = 6, .shard = 3}})
    for (const std::int64_t bucket : {64, 1 << 20})
      for (const int zero : {0, 1, 2, 3})
        EXPECT_EQ(reduced(shape, Reduce::exact, bucket, zero), one)
            << "dp " << shape.dp << " cp " << shape.cp << " shard " << shape.shard << " bucket "
            << bucket << " zero " << zero;
}

}  // namespace
}  // namespace fusor
