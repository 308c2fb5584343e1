#include "ops/ctc_loss.h"

#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "tests/golden.h"
#include "tests/near.h"

namespace fusor {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using Text = std::vector<std::int32_t>;

struct Result {
  double sum, impossible;
  std::vector<double> losses, dlogits;
};

Tensor ids(const Shape& shape, const std::vector<std::int32_t>& of) {
  const Tensor t(shape, DType::i32);
  fill(t, [&](std::size_t i) { return of[i]; });
  return t;
}

// The gradient of `dsum` times the sum. Consumes no tensor of the caller's.
Result run(const Tensor& logits, const CtcTargets& targets, std::int64_t blank, double dsum = 1) {
  const Tensor x = cast(logits, logits.dtype()), dloss({1}, DType::f64);
  set(dloss, 0, dsum);
  Tape tape;
  const Var input = Var::input(x, &tape, true);
  const CtcLoss loss = ctc_loss(input, targets, blank);
  tape.backward(loss.sum, dloss);
  EXPECT_EQ(input.grad().tensor().raw(), x.raw()) << "the gradient is written over the logits";
  return {at(loss.sum.value(), 0), at(loss.impossible, 0), doubles(loss.each),
          doubles(input.grad().tensor())};
}

Result run(const Tensor& logits, const Text& text, std::int64_t blank, DType dtype = DType::f64) {
  return run(cast(logits, dtype),
             {ids({1, std::ssize(text)}, text), ids({1}, {static_cast<std::int32_t>(text.size())}),
              ids({1}, {static_cast<std::int32_t>(logits.dim(0))})},
             blank);
}

Text spelled(const Text& path, std::int64_t blank) {
  Text text;
  for (std::size_t t = 0; t < path.size(); ++t)
    if (path[t] != blank && (t == 0 || path[t] != path[t - 1])) text.push_back(path[t]);
  return text;
}

// The loss, and its gradient, by the sum over all paths.
Result by_paths(const Tensor& logits, const Text& text, std::int64_t blank) {
  const std::int64_t frames = logits.dim(0), vocab = logits.dim(1);
  std::vector<double> p = doubles(logits), shares(p.size());
  for (std::int64_t t = 0; t < frames; ++t) {
    double sum = 0;
    for (std::int64_t k = 0; k < vocab; ++k) sum += std::exp(at(logits, t * vocab + k));
    for (std::int64_t k = 0; k < vocab; ++k)
      p[static_cast<std::size_t>(t * vocab + k)] = std::exp(at(logits, t * vocab + k)) / sum;
  }
  const auto place = [=](std::size_t t, std::int32_t k) {
    return t * static_cast<std::size_t>(vocab) + static_cast<std::size_t>(k);
  };
  double total = 0;
  for (std::int64_t i = 0; i < std::llround(std::pow(vocab, frames)); ++i) {
    Text path;
    double of_path = 1;
    for (std::int64_t t = 0, rest = i; t < frames; ++t, rest /= vocab) {
      path.push_back(static_cast<std::int32_t>(rest % vocab));
      of_path *= p[place(static_cast<std::size_t>(t), path.back())];
    }
    if (spelled(path, blank) != text) continue;
    total += of_path;
    for (std::size_t t = 0; t < path.size(); ++t) shares[place(t, path[t])] += of_path;
  }
  Result result{0, 0, {-std::log(total)}, std::vector<double>(p.size())};
  for (std::size_t i = 0; i < p.size() && total > 0; ++i)
    result.dlogits[i] = p[i] - shares[i] / total;
  return result;
}

TEST(CtcLoss, IsTheSumOverAllPaths) {
  std::uint64_t seed = 0;
  for (const auto& [frames, vocab, blank, text] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t, Text>>{{1, 2, 0, {}},
                                                                               {3, 3, 2, {}},
                                                                               {1, 3, 1, {2}},
                                                                               {4, 3, 0, {1}},
                                                                               {5, 4, 2, {0, 1, 3}},
                                                                               {5, 4, 3, {1, 1}},
                                                                               {5, 3, 1, {0, 0, 2}},
                                                                               {6, 3, 0, {1, 2, 1}},
                                                                               {5, 3, 0, {2, 2, 2}},
                                                                               {6, 4, 0, {3, 3, 1}},
                                                                               {3, 3, 0, {1, 2, 1}},
                                                                               {2, 3, 0, {1, 2, 1}},
                                                                               {3, 3, 0, {1, 1}},
                                                                               {2, 3, 0, {1, 1}},
                                                                               {4, 2, 1, {0, 0}}}) {
    const Tensor logits = noise({frames, vocab}, DType::f64, ++seed);
    fill(logits, [&, x = doubles(logits)](std::size_t i) { return 3 * x[i]; });
    const Result got = run(logits, text, blank), want = by_paths(logits, text, blank);
    EXPECT_EQ(got.impossible, want.losses[0] == kInf);
    if (want.losses[0] < kInf) {
      EXPECT_NEAR(got.sum, want.losses[0], 1e-12) << seed;
    }
    EXPECT_THAT(got.dlogits, testing::Pointwise(testing::DoubleNear(1e-12), want.dlogits)) << seed;
  }
}

TEST(CtcLoss, IsPyTorchs) {
  const Golden golden("ctc");
  const Tensor logits = golden.tensor("logits"), want = golden.tensor("losses");
  const Shape rows{logits.dim(0) * logits.dim(1), logits.dim(2)};
  const CtcTargets targets{golden.tensor("labels"), golden.tensor("label_counts"),
                           golden.tensor("frame_counts")};
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 2e-6}}) {
    const Result got = run(cast(logits.view(rows), dtype), targets, 3);
    double sum = 0, impossible = 0;
    for (std::size_t n = 0; n < got.losses.size(); ++n) {
      const double loss = at(want, static_cast<std::int64_t>(n));
      loss == kInf ? impossible += 1 : sum += loss;
      EXPECT_TRUE(got.losses[n] == loss || std::abs(got.losses[n] - loss) < within * loss) << n;
    }
    EXPECT_NEAR(got.sum, sum, within * sum);
    EXPECT_EQ(got.impossible, impossible);
    EXPECT_EQ(impossible, 1);
    EXPECT_THAT(got.dlogits,
                testing::Pointwise(testing::DoubleNear(within), doubles(golden.tensor("grad"))));
  }
}

TEST(CtcLoss, ScalesByTheGradientOfTheSum) {
  const Tensor logits = noise({6, 5}, DType::f64, 1);
  const CtcTargets targets{ids({2, 1}, {1, 2}), ids({2}, {1, 1}), ids({2}, {3, 3})};
  const Result once = run(logits, targets, 0), scaled = run(logits, targets, 0, -0.25);
  for (std::size_t i = 0; i < once.dlogits.size(); ++i)
    EXPECT_NEAR(scaled.dlogits[i], -0.25 * once.dlogits[i], 1e-15);
}

TEST(CtcLoss, ReadsNoFrameOrLabelPastTheCounts) {
  const Tensor logits = noise({8, 5}, DType::f64, 1), padded = cast(logits, DType::f64);
  fill(padded.rows(5, 8), [](std::size_t) { return NAN; });
  const Result whole = run(logits.rows(0, 5), {1, 3}, 0);
  const Result part = run(padded, {ids({1, 4}, {1, 3, 0, -7}), ids({1}, {2}), ids({1}, {5})}, 0);
  EXPECT_EQ(part.sum, whole.sum);
  EXPECT_THAT(std::vector(part.dlogits.begin(), part.dlogits.begin() + 25),
              testing::ElementsAreArray(whole.dlogits));
  EXPECT_THAT(std::vector(part.dlogits.begin() + 25, part.dlogits.end()), testing::Each(0));
}

// Each frame is sure of what the text is not: the path's probability is e^-40000.
TEST(CtcLoss, HoldsWhereProbabilitiesDoNot) {
  const Tensor logits({400, 3}, DType::f32);
  fill(logits, [](std::size_t i) { return i % 3 == 2 ? 100.0 : 0.0; });
  const Result got = run(logits, {1, 1, 1}, 0, DType::f32);
  EXPECT_NEAR(got.sum, 40000, 40);
  EXPECT_THAT(got.dlogits, testing::Each(testing::Le(1)));
  for (std::size_t i = 0; i < 1200; i += 3)  // the paths' share of a frame is 1
    EXPECT_NEAR(got.dlogits[i] + got.dlogits[i + 1], -1, 1e-5) << i;
}

TEST(CtcLoss, MaskedLogits) {
  const Tensor logits({2, 3}, DType::f64);
  fill(logits, [](std::size_t i) { return i == 1 || i == 4 ? -kInf : 0.0; });
  EXPECT_EQ(run(logits, {1}, 0).impossible, 1) << "label 1 is masked in both frames";
  const Result got = run(logits, {2}, 0);
  EXPECT_NEAR(got.sum, -std::log(0.75), 1e-15);
  EXPECT_THAT(got.dlogits,
              testing::Pointwise(testing::DoubleNear(1e-15),
                                 std::vector{1 / 6., 0., -1 / 6., 1 / 6., 0., -1 / 6.}));
}

TEST(CtcLoss, NotANumberShows) {
  const Tensor logits({2, 2}, DType::f32);
  fill(logits, [](std::size_t i) { return i == 3 ? NAN : 0.0; });
  const Result got = run(logits, {1}, 0, DType::f32);
  EXPECT_TRUE(std::isnan(got.sum));
  EXPECT_EQ(got.impossible, 0);
}

TEST(CtcLoss, ThreadsChangeNoBit) {
  const Tensor logits = noise({150, 700}, DType::f32, 1);
  const CtcTargets targets{noise_ids({5, 9}, 699, 2), noise_ids({5}, 10, 3),
                           ids({5}, {30, 9, 0, 28, 30})};
  const int before = omp_get_max_threads();
  std::vector<Result> results;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    results.push_back(run(logits, targets, 699));
  }
  omp_set_num_threads(before);
  for (const Result& result : results) {
    EXPECT_EQ(result.sum, results[0].sum);
    EXPECT_EQ(result.dlogits, results[0].dlogits);
  }
}

TEST(CtcLoss, NamesWhatDoesNotFit) {
  const Tensor logits = noise({4, 3}, DType::f32, 1);
  const auto message = [&](const Text& labels, std::int32_t label_count, std::int32_t frame_count,
                           std::int64_t blank) -> std::string {
    try {
      run(logits, {ids({1, 2}, labels), ids({1}, {label_count}), ids({1}, {frame_count})}, blank);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using testing::HasSubstr;
  EXPECT_THAT(message({1, 3}, 2, 4, 0), HasSubstr("sample 0 has label 3 of a vocabulary of 3"));
  EXPECT_THAT(message({1, 0}, 2, 4, 0),
              HasSubstr("label 0 of a vocabulary of 3 where 0 is the blank"));
  EXPECT_THAT(message({1, 1}, 3, 4, 0), HasSubstr("sample 0 has 3 labels of at most 2"));
  EXPECT_THAT(message({1, 1}, 2, 5, 0), HasSubstr("sample 0 has 5 frames of at most 4"));
  EXPECT_THAT(message({1, 1}, 2, 4, 3), HasSubstr("blank 3 of a vocabulary of 3"));
  EXPECT_EQ(message({1, 2}, 2, 4, 0), "");
}

}  // namespace
}  // namespace fusor
