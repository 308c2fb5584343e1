#include "ops/attention.h"

#include <gmock/gmock.h>

#include "ops/attention_block.h"
#include "ops/decode_attention.h"
#include "ops/rotary.h"
#include "runtime/memory_plan.h"
#include "tests/near.h"

// What the ladder cannot say of attention, its cache and rotary positions.
namespace fusor {
namespace {

std::int64_t columns(const AttentionShape& s) { return (s.heads + 2 * s.kv_heads) * s.head_dim; }

Tensor noisy_qkv(const AttentionShape& s, DType dtype, std::uint64_t seed = 1) {
  return noise({s.batch * s.seq_len, columns(s)}, dtype, seed);
}

Tensor attend(const Tensor& qkv, const AttentionShape& s) {
  return attention(Var::input(qkv), s).value();
}

// The definition, one query at a time, in f64.
Tensor reference(const Tensor& qkv, const AttentionShape& s) {
  const std::vector<double> x = doubles(qkv);
  const auto element = [&](std::int64_t row, std::int64_t head, std::int64_t i) {
    return x[static_cast<std::size_t>(row * columns(s) + head * s.head_dim + i)];
  };
  Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, DType::f64);
  std::vector<double> weight(static_cast<std::size_t>(s.seq_len));
  for (std::int64_t row = 0; row < s.batch * s.seq_len; ++row)
    for (std::int64_t h = 0; h < s.heads; ++h) {
      const std::int64_t first = row - row % s.seq_len, seen = row - first + 1;
      const std::int64_t k = s.heads + h / (s.heads / s.kv_heads), v = k + s.kv_heads;
      double highest = -INFINITY, sum = 0;
      for (std::int64_t j = 0; j < seen; ++j) {
        double score = 0;
        for (std::int64_t i = 0; i < s.head_dim; ++i)
          score += element(row, h, i) * element(first + j, k, i);
        weight[j] = score / std::sqrt(static_cast<double>(s.head_dim));
        highest = std::max(highest, weight[j]);
      }
      for (std::int64_t j = 0; j < seen; ++j) sum += weight[j] = std::exp(weight[j] - highest);
      for (std::int64_t i = 0; i < s.head_dim; ++i) {
        double out = 0;
        for (std::int64_t j = 0; j < seen; ++j) out += weight[j] / sum * element(first + j, v, i);
        y.data<double>()[(row * s.heads + h) * s.head_dim + i] = out;
      }
    }
  return y;
}

TEST(Attention, IsItsDefinition) {
  for (const AttentionShape& s : {AttentionShape{2, 1, 1, 1, 1}, AttentionShape{1, 17, 4, 2, 3},
                                  AttentionShape{2, 150, 6, 1, 16}, AttentionShape{1, 64, 2, 2, 64},
                                  AttentionShape{1, 65, 3, 3, 72}}) {
    const Tensor qkv = noisy_qkv(s, DType::f64);
    EXPECT_LT(distance(attend(qkv, s), reference(qkv, s)), 1e-13) << "seq_len " << s.seq_len;
  }
}

TEST(Attention, StaysFiniteWhenScoresAreHuge) {
  const AttentionShape s{1, 130, 2, 1, 8};
  const Tensor qkv = noisy_qkv(s, DType::f32);
  for (float& x : qkv.host<float>()) x *= 1e3f;  // scores around 1e6
  EXPECT_LT(distance(attend(qkv, s), reference(qkv, s)), 1e-3);
}

TEST(Attention, OfASequenceIsTheSameBitsInAnyBatch) {
  const AttentionShape both{2, 70, 2, 2, 8}, one{1, 70, 2, 2, 8};
  const Tensor qkv = noisy_qkv(both, DType::f32);
  const Tensor y = attend(qkv, both);
  EXPECT_EQ(distance(attend(qkv.rows(70, 140), one), y.rows(70, 140)), 0);
}

TEST(Attention, PlansNoMatrixOfScores) {
  const AttentionShape s{1, 4096, 2, 2, 8};
  Trace trace;
  const Device meta = Device::meta(trace);
  {
    const Program step(meta, "step");
    Tape tape;
    const Var qkv =
        Var::input(Tensor({s.seq_len, columns(s)}, DType::f32, meta), &tape, /*wants_grad=*/true);
    const Var y = attention(qkv, s);
    tape.backward(y, Tensor(y.shape(), DType::f32, meta));
  }
  const auto scores = static_cast<std::size_t>(s.seq_len * s.seq_len) * sizeof(float);
  EXPECT_LT(plan_memory(trace).bytes, scores / 4);
}

TEST(Attention, BackwardOfTheLastQueriesIsTheirShare) {
  const AttentionShape s{1, 89, 2, 1, 8};
  constexpr std::int64_t kBegin = 19;  // no multiple of a tile's rows
  const Tensor qkv = noisy_qkv(s, DType::f64);
  const Tensor dy = noise({s.seq_len, s.heads * s.head_dim}, DType::f64, 2);
  fill(dy.rows(0, kBegin), [](std::size_t) { return 0; });
  Tape tape;
  const Var x = Var::input(qkv, &tape, /*wants_grad=*/true), y = attention(x, s);
  tape.backward(y, dy);

  const Tensor log_sum_exp({s.batch, s.heads, s.seq_len}, DType::f64);
  const Tensor of_block({s.seq_len, s.heads * s.head_dim}, DType::f64);
  ops::attention_block({s, 0, ops::Visible::causal(0, s.seq_len)}, qkv, qkv, of_block, log_sum_exp,
                       /*merge=*/false);
  const Tensor dqkv(qkv.shape(), DType::f64);
  fill(dqkv, [](std::size_t) { return 0; });
  ops::attention_block_backward({s, kBegin, ops::Visible::causal(kBegin, s.seq_len - kBegin)},
                                {qkv, of_block, log_sum_exp}, qkv, dy, {dqkv, dqkv, true, true});
  EXPECT_LT(distance(dqkv, x.grad().tensor()), 1e-13);
}

// Feeds a sequence to the cache in pieces of these lengths.
Tensor in_pieces(const Tensor& qkv, AttentionShape s, const std::vector<std::int64_t>& pieces) {
  const std::int64_t total = s.seq_len, capacity = total + 3;
  const Shape cache_shape{s.batch, capacity, s.kv_heads * s.head_dim};
  const Device poisoned = Device::heap(/*poison=*/true);
  const KvCache cache{Tensor(cache_shape, qkv.dtype(), poisoned),
                      Tensor(cache_shape, qkv.dtype(), poisoned)};
  const Tensor all({s.batch * total, s.heads * s.head_dim}, qkv.dtype());
  const std::size_t in_row = qkv.bytes() / static_cast<std::size_t>(qkv.dim(0)),
                    out_row = all.bytes() / static_cast<std::size_t>(all.dim(0));
  std::int64_t position = 0;
  for (const std::int64_t n : pieces) {
    s.seq_len = n;
    const Tensor piece({s.batch * n, qkv.dim(1)}, qkv.dtype());
    for (std::int64_t r = 0; r < s.batch * n; ++r)
      std::copy_n(qkv.raw() + (r / n * total + position + r % n) * in_row, in_row,
                  piece.raw() + r * in_row);
    const Tensor y = cached_attention(piece, cache, s, position);
    for (std::int64_t r = 0; r < s.batch * n; ++r)
      std::copy_n(y.raw() + r * out_row, out_row,
                  all.raw() + (r / n * total + position + r % n) * out_row);
    position += n;
  }
  return all;
}

TEST(CachedAttention, InPiecesIsAttentionOfTheWhole) {
  const AttentionShape s{2, 150, 6, 2, 20};
  const std::vector<std::int64_t> pieces = {1, 1, 3, 1, 70, 17, 1, 40, 16};
  const auto apart = [&](DType dtype) {
    const Tensor qkv = noisy_qkv(s, dtype);
    return distance(in_pieces(qkv, s, pieces), attend(qkv, s));
  };
  EXPECT_LT(apart(DType::f64), 1e-14);
  EXPECT_LT(apart(DType::f32), 1e-6);
  EXPECT_LT(apart(DType::bf16), 1e-2);
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
