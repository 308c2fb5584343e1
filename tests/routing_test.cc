// Which expert serves which token: the router's choices, and their slots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/expert_dispatch.h"
#include "ops/top_k_router.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor table(const Shape& shape, const std::vector<double>& values, DType dtype) {
  Tensor t(shape, dtype);
  fill(t, [&](std::size_t i) { return values[i]; });
  return t;
}

TEST(TopK, TakesTheBestFirstAndOfEqualsTheLowerIndex) {
  const Tensor logits = table({3, 4}, {1, 3, 2, 3, 0, 0, 0, 0, NAN, -1, -2, NAN}, DType::f32);
  const std::vector<double> choices = doubles(top_k(logits, 2));
  EXPECT_THAT(std::vector(choices.begin(), choices.begin() + 4), ElementsAre(1, 3, 0, 1));
  EXPECT_NE(choices[4], choices[5]) << "not a number, and yet two experts";
  EXPECT_THAT(thrown_by([&] { top_k(logits, 5); }), HasSubstr("top_k: 5 of 4 experts"));
}

TEST(Route, ServesFirstChoicesFirstThenLowerTokens) {
  // Tokens 0 to 3 choose experts (0,1) (0,2) (0,1) (1,0), two tokens an expert.
  const Tensor choices = table({4, 2}, {0, 1, 0, 2, 0, 1, 1, 0}, DType::i32);
  const RowMap rows = RowMap::whole(5, 4);
  const Routing r = route_tokens(global_choices(choices, rows), 4, rows, 3, 2);
  EXPECT_THAT(doubles(r.slots), ElementsAre(0, 3, 1, 4, -1, -1, 2, -1));
  EXPECT_THAT(doubles(r.sources), ElementsAre(0, 2, 6, 1, 3, -1));
  EXPECT_THAT(doubles(r.counts), ElementsAre(4, 3, 1));
}

TEST(Route, OfAPartOfTheRowsIsThatOfTheWhole) {
  constexpr std::int64_t kSeqLen = 8, kSamples = 3, kExperts = 3, kCapacity = 7;
  const std::int64_t n = kSamples * kSeqLen;
  const RowMap whole = RowMap::whole(2, kSeqLen);
  const Tensor choices = noise_ids({n, 2}, kExperts, 1);
  const Routing want = route_tokens(global_choices(choices, whole), n, whole, kExperts, kCapacity);
  for (int rank = 0; rank < 2; ++rank) {
    const RowMap map = RowMap::zigzag(2, kSeqLen, rank, 2);
    const auto place = [&](std::int64_t r) { return map.global_row(r) - 2 * kSeqLen; };
    const Routing got =
        route_tokens(global_choices(choices, whole), n / 2, map, kExperts, kCapacity);
    EXPECT_EQ(doubles(got.counts), doubles(want.counts));
    for (std::int64_t r = 0; r < n / 2; ++r)
      for (std::int64_t j = 0; j < 2; ++j) {
        const double slot = at(got.slots, r * 2 + j);
        EXPECT_EQ(slot < 0, at(want.slots, place(r) * 2 + j) < 0) << "row " << r;
        if (slot < 0) continue;
        EXPECT_EQ(at(got.sources, static_cast<std::int64_t>(slot)), r * 2 + j);
      }
  }
}

TEST(Capacity, IsTheShareOfAnExpertRoundedUp) {
  EXPECT_EQ(expert_capacity(1.25, 64, 2, 8), 20);
  EXPECT_EQ(expert_capacity(1.25, 10, 2, 8), 4);
  EXPECT_EQ(expert_capacity(100, 10, 2, 8), 10);
  EXPECT_EQ(expert_capacity(0, 10, 2, 8), 10);
}

// A power of two, so that it changes no digit.
TEST(Balance, PullsAsHardAsTheLossIsScaled) {
  const auto gradient = [](double scale) {
    Tape tape;
    const Var logits = Var::input(noise({9, 5}, DType::f32, 1), &tape, /*wants_grad=*/true);
    const Tensor choices = top_k(logits.value(), 2), of_loss({1}, DType::f64);
    set(of_loss, 0, scale);
    const Var y = router_weights(logits, choices, {noise_ids({5}, 9, 2), 0.3, of_loss});
    const Tensor dy = noise(y.shape(), DType::f32, 3);
    fill(dy, [&, d = doubles(dy)](std::size_t i) { return scale * d[i]; });
    tape.backward(y, dy);
    std::vector<double> d = doubles(logits.grad().tensor());
    for (double& element : d) element /= scale;
    return d;
  };
  EXPECT_EQ(gradient(1024), gradient(1));
}

}  // namespace
}  // namespace fusor
