#include "ops/rotary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/attention.h"
#include "tests/near.h"

namespace fusor {
namespace {

std::int64_t columns(const AttentionShape& s) { return (s.heads + 2 * s.kv_heads) * s.head_dim; }

Tensor noisy_qkv(const AttentionShape& s, DType dtype) {
  return noise({s.batch * s.seq_len, columns(s)}, dtype, 1);
}

TEST(Rotary, TurnsEachPairByItsPosition) {
  const AttentionShape s{2, 37, 3, 1, 10};
  constexpr double kTheta = 500000;
  constexpr std::int64_t kFirst = 100003;
  const Tensor qkv = noisy_qkv(s, DType::f64);
  const Tensor turned =
      rotary(Var::input(qkv), s, kTheta, RowMap::positions(kFirst, s.seq_len)).value();
  const Tensor want = cast(qkv, DType::f64);
  const std::int64_t half = s.head_dim / 2;
  for (std::int64_t r = 0; r < qkv.dim(0); ++r)
    for (std::int64_t h = 0; h < s.heads + s.kv_heads; ++h)
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(kFirst + r % s.seq_len) *
                             std::pow(kTheta, -2.0 * static_cast<double>(i) / 10.0);
        double* x = want.data<double>() + r * columns(s) + h * s.head_dim + i;
        const double a = x[0], b = x[half];
        x[0] = a * std::cos(angle) - b * std::sin(angle);
        x[half] = b * std::cos(angle) + a * std::sin(angle);
      }
  EXPECT_LT(distance(turned, want), 1e-11);  // angles of 1e5 are exact to 1e-11
}

TEST(Rotary, OfAPositionIsTheSameBitsWhereverTheCallBegins) {
  const AttentionShape all{1, 50, 2, 2, 8}, tail{1, 29, 2, 2, 8};
  const Tensor qkv = noisy_qkv(all, DType::f64);
  const Tensor turned = rotary(Var::input(qkv), all, 10000, RowMap::whole(0, 50)).value();
  EXPECT_EQ(
      distance(rotary(Var::input(qkv.rows(21, 50)), tail, 10000, RowMap::positions(21, 29)).value(),
               turned.rows(21, 50)),
      0);
}

TEST(Rotary, TurnsInPlaceWhatNothingElseHolds) {
  const AttentionShape s{2, 5, 2, 1, 6};
  Tensor held = noisy_qkv(s, DType::f32);
  const Tensor copy = cast(held, DType::f32);
  const Tensor apart = rotary(Var::input(held), s, 10000, RowMap::whole(0, 5)).value();
  EXPECT_EQ(distance(held, copy), 0);
  const float* at = held.data<float>();
  const Tensor in_place =
      rotary(Var::input(std::move(held)), s, 10000, RowMap::whole(0, 5)).value();
  EXPECT_EQ(in_place.data<float>(), at);
  EXPECT_EQ(distance(in_place, apart), 0);
}

}  // namespace
}  // namespace fusor
