#include "ops/attention.h"

#include <gmock/gmock.h>

#include "ops/attention_block.h"
#include "ops/decode_attention.h"
#include "runtime/memory_plan.h"
#include "tests/near.h"

// What the ladder cannot say of attention and its cache.
namespace fusor {
namespace {

std::int64_t columns(const AttentionShape& s) { return (s.heads + 2 * s.kv_heads) * s.head_dim; }

Tensor noisy_qkv(const AttentionShape& s, DType dtype, std::uint64_t seed = 1) {
  return noise({s.batch * s.seq_len, columns(s)}, dtype, seed);
}

Tensor attend(const Tensor& qkv, const AttentionShape& s) {
  return attention(Var::input(qkv), s).value();
}

Tensor lengths_of(const std::vector<std::int32_t>& lengths) {
  if (lengths.empty()) return {};
  Tensor t({static_cast<std::int64_t>(lengths.size())}, DType::i32);
  std::ranges::copy(lengths, t.host<std::int32_t>().begin());
  return t;
}

// The definition, in f64, of one query and head at a time: `sees(b, i, j)` tells which keys.
using Sees = std::function<bool(std::int64_t b, std::int64_t i, std::int64_t j)>;

struct Definition {
  AttentionShape s;
  std::int64_t keys;  // in a row of the batch
  Sees sees;
  std::vector<double> q, kv;  // kv: the last columns of each row
  std::int64_t q_columns, kv_columns;
  std::function<double(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j)> factor{};

  // qkv, or q and kv
  Definition(const AttentionShape& s_, const Tensor& q_, const Tensor& kv_, Sees sees_)
      : s(s_),
        keys(kv_.dim(0) / s_.batch),
        sees(std::move(sees_)),
        q(doubles(q_)),
        kv(doubles(kv_)),
        q_columns(q_.dim(1)),
        kv_columns(kv_.dim(1)) {}

  double query(std::int64_t b, std::int64_t i, std::int64_t h, std::int64_t d) const {
    return q[static_cast<std::size_t>((b * s.seq_len + i) * q_columns + h * s.head_dim + d)];
  }
  // which: 0 the key, 1 the value that query head h reads
  double key(std::int64_t b, std::int64_t j, std::int64_t h, std::int64_t d, int which) const {
    const std::int64_t head = h / (s.heads / s.kv_heads) - (2 - which) * s.kv_heads;
    return kv[static_cast<std::size_t>((b * keys + j + 1) * kv_columns + head * s.head_dim + d)];
  }
  // Of the keys of query i; zeros where it sees none.
  std::vector<double> weights(std::int64_t b, std::int64_t i, std::int64_t h) const {
    std::vector<double> weight(static_cast<std::size_t>(keys), -INFINITY);
    for (std::int64_t j = 0; j < keys; ++j) {
      if (!sees(b, i, j)) continue;
      double score = 0;
      for (std::int64_t d = 0; d < s.head_dim; ++d) score += query(b, i, h, d) * key(b, j, h, d, 0);
      weight[static_cast<std::size_t>(j)] = score / std::sqrt(static_cast<double>(s.head_dim));
    }
    const double highest = std::ranges::max(weight);
    double sum = 0;
    for (double& w : weight) sum += w = std::isinf(w) ? 0 : std::exp(w - highest);
    for (double& w : weight) w = sum > 0 ? w / sum : 0;
    return weight;
  }
  Tensor operator()() const {
    Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, DType::f64);
    double* to = y.data<double>();
    for (std::int64_t row = 0; row < y.dim(0); ++row)
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const std::int64_t b = row / s.seq_len;
        std::vector<double> weight = weights(b, row % s.seq_len, h);
        for (std::int64_t j = 0; factor && j < keys; ++j)
          weight[static_cast<std::size_t>(j)] *= factor(b, h, row % s.seq_len, j);
        for (std::int64_t d = 0; d < s.head_dim; ++d, ++to) {
          *to = 0;
          for (std::int64_t j = 0; j < keys; ++j)
            if (weight[static_cast<std::size_t>(j)] > 0)
              *to += weight[static_cast<std::size_t>(j)] * key(b, j, h, d, 1);
        }
      }
    return y;
  }
};

bool is_causal(std::int64_t, std::int64_t i, std::int64_t j) { return j <= i; }

TEST(Attention, IsItsDefinition) {
  for (const AttentionShape& s : {AttentionShape{2, 1, 1, 1, 1}, AttentionShape{1, 17, 4, 2, 3},
                                  AttentionShape{2, 150, 6, 1, 16}, AttentionShape{1, 64, 2, 2, 64},
                                  AttentionShape{1, 65, 3, 3, 72}}) {
    const Tensor qkv = noisy_qkv(s, DType::f64);
    EXPECT_LT(distance(attend(qkv, s), Definition(s, qkv, qkv, is_causal)()), 1e-13)
        << "seq_len " << s.seq_len;
  }
}

TEST(Attention, OfPaddedSequencesIsItsDefinition) {
  for (const bool causal : {false, true}) {
    const AttentionShape s{6, 150, 4, 2, 16, causal};
    const std::vector<std::int32_t> lengths = {0, 1, 64, 149, 150, 75};
    const Tensor qkv = noisy_qkv(s, DType::f64);
    const auto sees = [&](std::int64_t b, std::int64_t i, std::int64_t j) {
      const std::int64_t length = lengths[static_cast<std::size_t>(b)];
      return i < length && j < length && (!causal || j <= i);
    };
    EXPECT_LT(distance(attention(Var::input(qkv), s, lengths_of(lengths)).value(),
                       Definition(s, qkv, qkv, sees)()),
              1e-13)
        << "causal " << causal;
  }
}

TEST(PackedAttention, IsItsDefinition) {
  const std::vector<std::int32_t> offsets = {0, 1, 66, 66, 130, 145, 0, 150, 150, 150, 150, 150};
  Tensor given({2, 6}, DType::i32);
  std::ranges::copy(offsets, given.host<std::int32_t>().begin());
  for (const bool causal : {false, true}) {
    const AttentionShape s{2, 150, 4, 2, 16, causal};
    const Tensor qkv = noisy_qkv(s, DType::f64);
    const auto document = [&](std::int64_t b, std::int64_t i) {
      const auto first = offsets.begin() + 6 * b;
      return std::upper_bound(first, first + 6, i) - first;  // 6: past the last
    };
    const auto sees = [&](std::int64_t b, std::int64_t i, std::int64_t j) {
      return document(b, i) < 6 && document(b, i) == document(b, j) && (!causal || j <= i);
    };
    EXPECT_LT(distance(packed_attention(Var::input(qkv), s, given).value(),
                       Definition(s, qkv, qkv, sees)()),
              1e-13)
        << "causal " << causal;
  }
}

TEST(Attention, DropsWeightsByTheirGlobalPlaces) {
  const AttentionShape s{2, 150, 4, 2, 16, false};
  const AttentionDropout drops{0.3, {{5}, step_number(2)}, 7, 3};
  const Tensor qkv = noisy_qkv(s, DType::f64);
  Definition definition(s, qkv, qkv, [](auto...) { return true; });
  const RandomKey key = key_at(drops.key.stem, 2);
  definition.factor = [&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
    const auto u = [](std::int64_t x) { return static_cast<std::uint64_t>(x); };
    const auto words = philox(key, u(i) << 32 | u(j / 64 * 16 + j % 16), u(7 + b) << 32 | u(3 + h));
    return (words[u(j / 16 % 4)] >> 8) * 0x1p-24 >= static_cast<double>(0.3f) ? 1 / 0.7 : 0;
  };
  EXPECT_LT(distance(attention(Var::input(qkv), s, {}, drops).value(), definition()), 1e-13);
}

// A batch's second row, and the last two of four heads, in calls of their own.
TEST(Attention, DropsTheSameWeightsUnderEveryLayout) {
  const AttentionShape s{2, 70, 4, 4, 8, false};
  const AttentionDropout drops{0.5, {{5}, step_number(2)}, 7, 0};
  const Tensor qkv = noisy_qkv(s, DType::f32);
  const std::vector<double> whole = doubles(attention(Var::input(qkv), s, {}, drops).value());

  AttentionShape part{1, 70, 2, 2, 8, false};
  const Tensor local({70, columns(part)}, DType::f32), want({70, 16}, DType::f32);
  const std::vector<double> from = doubles(qkv);
  fill(local, [&](std::size_t i) {
    const std::size_t row = 70 + i / 48, of_three = i % 48 / 16, column = 16 + i % 16;
    return from[row * 96 + of_three * 32 + column];
  });
  fill(want, [&](std::size_t i) { return whole[(70 + i / 16) * 32 + 16 + i % 16]; });
  const Tensor y = attention(Var::input(local), part, {}, {0.5, drops.key, 7 + 1, 2}).value();
  EXPECT_EQ(distance(y, want), 0);
}

TEST(CrossAttention, IsItsDefinition) {
  const AttentionShape s{4, 70, 6, 2, 8, false, 150};
  const std::vector<std::int32_t> lengths = {150, 0, 1, 129};
  const Tensor q = noise({s.batch * s.seq_len, s.heads * s.head_dim}, DType::f64, 1);
  const Tensor kv = noise({s.batch * s.kv_seq_len, 2 * s.kv_heads * s.head_dim}, DType::f64, 2);
  const auto padded = [&](std::int64_t b, std::int64_t, std::int64_t j) {
    return j < lengths[static_cast<std::size_t>(b)];
  };
  const auto all = [](std::int64_t, std::int64_t, std::int64_t) { return true; };
  const Var x = Var::input(q), keys = Var::input(kv);
  EXPECT_LT(distance(cross_attention(x, keys, s).value(), Definition(s, q, kv, all)()), 1e-13);
  EXPECT_LT(distance(cross_attention(x, keys, s, lengths_of(lengths)).value(),
                     Definition(s, q, kv, padded)()),
            1e-13);
}

// Rows [first, past) of each sequence of x [batch * seq_len, cols] become NaN.
void poison_rows(const Tensor& x, std::int64_t batch, const std::vector<std::int32_t>& from) {
  const std::int64_t rows = x.dim(0) / batch;
  for (std::int64_t r = 0; r < x.dim(0); ++r)
    if (r % rows >= from[static_cast<std::size_t>(r / rows)])
      fill(x.rows(r, r + 1), [](std::size_t) { return NAN; });
}

TEST(Attention, NothingIsReadOfPadding) {
  const AttentionShape s{4, 70, 4, 2, 8, false};
  const std::vector<std::int32_t> lengths = {0, 70, 1, 65};
  const auto result = [&](bool poisoned) {
    const Tensor qkv = noisy_qkv(s, DType::f32);
    const Tensor dy = noise({s.batch * s.seq_len, s.heads * s.head_dim}, DType::f32, 2);
    if (poisoned) poison_rows(qkv, s.batch, lengths), poison_rows(dy, s.batch, lengths);
    Tape tape;
    const Var x = Var::input(qkv, &tape, /*wants_grad=*/true);
    const Var y = attention(x, s, lengths_of(lengths));
    tape.backward(y, dy);
    return std::pair(doubles(y.value()), doubles(x.grad().tensor()));
  };
  EXPECT_EQ(result(true), result(false));
}

TEST(CrossAttention, OfAModalityThatIsMissingHasNoGradient) {
  const AttentionShape s{2, 9, 2, 2, 8, false, 5};
  const Tensor kv = noise({10, 32}, DType::f32, 2);
  poison_rows(kv, s.batch, {0, 0});
  Tape tape;
  const Var q = Var::input(noise({18, 16}, DType::f32, 1), &tape, /*wants_grad=*/true);
  const Var keys = Var::input(kv, &tape, /*wants_grad=*/true);
  const Var y = cross_attention(q, keys, s, lengths_of({0, 0}));
  tape.backward(y, noise(y.shape(), DType::f32, 3));
  for (const Tensor& t : {y.value(), q.grad().tensor(), keys.grad().tensor()})
    EXPECT_THAT(doubles(t), testing::Each(0.0));
}

TEST(CrossAttention, OfFrozenKeysHasTheGradientOfQueries) {
  const AttentionShape s{2, 9, 2, 1, 8, false, 5};
  const Tensor queries = noise({18, 16}, DType::f64, 1), kv = noise({10, 16}, DType::f64, 2);
  const auto gradients = [&](bool of_q, bool of_kv) {
    Tape tape;
    const Var q = Var::input(queries, &tape, of_q), keys = Var::input(kv, &tape, of_kv);
    const Var y = cross_attention(q, keys, s);
    tape.backward(y, noise(y.shape(), DType::f64, 3));
    return std::pair(of_q ? doubles(q.grad().tensor()) : std::vector<double>(),
                     of_kv ? doubles(keys.grad().tensor()) : std::vector<double>());
  };
  const auto both = gradients(true, true);
  EXPECT_EQ(gradients(true, false).first, both.first);
  EXPECT_EQ(gradients(false, true).second, both.second);
}

template <class F>
auto refuses(F&& f, const char* why) {
  EXPECT_THAT(f, testing::ThrowsMessage<Error>(testing::HasSubstr(why)));
}

TEST(Attention, TellsWhichShapeIsWrong) {
  const AttentionShape s{2, 5, 4, 2, 3, false};
  const Var qkv = Var::input(noisy_qkv(s, DType::f32));
  refuses([&] { attention(qkv, {2, 5, 4, 3, 3}); }, "kv_heads 3 does not divide heads 4");
  refuses([&] { attention(qkv, {2, 6, 4, 2, 3}); }, "the heads make");
  refuses([&] { attention(qkv, {2, 5, 4, 2, 3, false, 7}); }, "kv_seq_len 7");
  refuses([&] { attention(qkv, s, lengths_of({1, 2, 3})); }, "2 sequences");
  refuses([&] { attention(qkv, s, noise({2}, DType::f32, 1)); }, "f32");
  refuses([&] { attention(qkv, s, {}, {.p = 1}); }, "p = 1 is not in [0, 1)");
  refuses([&] { attention(qkv, s, {}, {.p = 0.1}); }, "step");
  refuses([&] { packed_attention(qkv, s, {}); }, "documents + 1]");
  refuses([&] { packed_attention(qkv, s, Tensor({3, 4}, DType::i32)); }, "i32 [2, documents + 1]");
}

TEST(CrossAttention, TellsWhichShapeIsWrong) {
  const AttentionShape s{2, 5, 4, 2, 3, false, 7};
  const Var q = Var::input(noise({10, 12}, DType::f32, 1)),
            kv = Var::input(noise({14, 12}, DType::f32, 2));
  EXPECT_NO_THROW(cross_attention(q, kv, s));
  refuses([&] { cross_attention(kv, kv, s); }, "cross_attention: q ");
  refuses([&] { cross_attention(q, q, s); }, "cross_attention: kv ");
  refuses([&] { cross_attention(q, kv, {2, 5, 4, 2, 3}); }, "kv_seq_len 0");
  refuses([&] { cross_attention(q, kv, s, lengths_of({1})); }, "2 sequences");
  refuses([&] { cross_attention(q, Var::input(noise({14, 12}, DType::f64, 2)), s); }, "f64");
}

TEST(Attention, StaysFiniteWhenScoresAreHuge) {
  const AttentionShape s{1, 130, 2, 1, 8};
  const Tensor qkv = noisy_qkv(s, DType::f32);
  for (float& x : qkv.host<float>()) x *= 1e3f;  // scores around 1e6
  EXPECT_LT(distance(attend(qkv, s), Definition(s, qkv, qkv, is_causal)()), 1e-3);
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

}  // namespace
}  // namespace fusor
