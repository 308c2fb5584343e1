#include "ops/tape.h"

#include <gmock/gmock.h>

#include <string>

#include "ops/add.h"
#include "ops/linear.h"
#include "runtime/trace.h"
#include "tests/near.h"

namespace fusor {
namespace {

using testing::ElementsAre;

Var weight(std::uint64_t seed) {
  return Var::parameter(noise({3, 3}, DType::f64, seed), Tensor({3, 3}, DType::f64));
}

TEST(Tape, WeightsOfAPipelineComeLater) {
  Tape tape;
  const Var w = weight(1);
  std::vector<std::string> order;
  w.grad().on_ready([&] { order.push_back("weight"); });
  const Var x = Var::input(noise({2, 3}, DType::f64, 2), &tape, true);
  const Var y = linear(x, w);
  tape.backward_inputs({{y.grad(), noise({2, 3}, DType::f64, 3)}});
  EXPECT_TRUE(x.grad().tensor().defined());
  EXPECT_FALSE(w.grad().filled());
  order.push_back("inputs");
  tape.backward_weights();
  EXPECT_TRUE(w.grad().filled());
  EXPECT_THAT(order, ElementsAre("inputs", "weight"));
}

TEST(Tape, SeveralRootsAddUp) {
  const auto gradient = [](double of_a, double of_b) {
    Tape tape;
    const Var w = weight(1), x = Var::input(noise({2, 3}, DType::f64, 2), &tape, true);
    const Var a = linear(x, w), b = add(a, a);
    const auto dy = [](double value) {
      const Tensor t({2, 3}, DType::f64);
      for (std::int64_t i = 0; i < t.size(); ++i) set(t, i, value);
      return t;
    };
    tape.backward({{a.grad(), dy(of_a)}, {b.grad(), dy(of_b)}});
    return at(x.grad().tensor(), 0);
  };
  EXPECT_NEAR(gradient(1, 2), gradient(5, 0), 1e-12);  // b = 2 a
}

TEST(Tape, HooksRunWhereTheWalkPasses) {
  Tape tape;
  const Var w1 = weight(1), w2 = weight(2);
  std::vector<std::string> order;
  w1.grad().on_ready([&] { order.push_back("first"); });
  w2.grad().on_ready([&] { order.push_back("second"); });
  const Var x = linear(Var::input(noise({2, 3}, DType::f64, 2), &tape, true), w1);
  tape.on_backward([&] { order.push_back("between"); });
  const Var y = linear(x, w2);
  tape.backward(y, noise({2, 3}, DType::f64, 3));
  EXPECT_THAT(order, ElementsAre("second", "between", "first"));
}

// Whatever other micro-batches have recorded.
TEST(Tape, AWeightIsReadyAfterItsLastReaderOfTheTape) {
  for (const bool later : {false, true}) {
    Tape first, second;
    const Var w = weight(1);
    int ready = 0;
    w.grad().on_ready([&] { ++ready; });
    const auto forward = [&](Tape& tape) {
      return linear(linear(Var::input(noise({2, 3}, DType::f64, 2), &tape, true), w), w);
    };
    const Var y = forward(first), z = forward(second);
    for (int i = 0; i < 2; ++i) {
      Tape& tape = i == 0 ? first : second;
      const Grad root = (i == 0 ? y : z).grad();
      if (later) {
        tape.backward_inputs({{root, noise({2, 3}, DType::f64, 3)}});
        EXPECT_EQ(ready, i);
        tape.backward_weights();
      } else {
        tape.backward({{root, noise({2, 3}, DType::f64, 3)}});
      }
      EXPECT_EQ(ready, i + 1);
    }
  }
}

TEST(Tape, RecomputedSegmentsKeepOnlyTheirInputs) {
  const auto kept = [](bool again) {
    Trace trace;
    const Device meta = Device::meta(trace);
    Tape tape;
    const auto w = [&] {
      return Var::parameter(Tensor({3, 3}, DType::f64, meta), Tensor({3, 3}, DType::f64, meta));
    };
    const Var a = w(), b = w();
    const Tape::Segment f = [&](const std::vector<Var>& in) { return linear(linear(in[0], a), b); };
    const Var x = Var::input(Tensor({100, 3}, DType::f64, meta), &tape, true);
    const Var y = again ? Tape::recompute({x}, f) : f({x});
    std::int64_t alive = 0;
    for (const TraceEvent& event : trace.events) {
      alive += std::holds_alternative<AllocEvent>(event);
      alive -= std::holds_alternative<ReleaseEvent>(event);
    }
    return alive;
  };
  EXPECT_EQ(kept(false), kept(true) + 1);
}

}  // namespace
}  // namespace fusor
