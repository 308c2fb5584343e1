#include "ops/cross_entropy.h"

#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "tests/near.h"

namespace fusor {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Result {
  double loss;
  std::vector<double> dlogits;
};

Result run(const Shape& shape, const std::vector<double>& logits,
           const std::vector<std::int32_t>& targets, DType dtype = DType::f64) {
  const Tensor x(shape, dtype), t({shape[0]}, DType::i32), dloss({1}, DType::f64);
  fill(x, [&](std::size_t i) { return logits[i]; });
  fill(t, [&](std::size_t i) { return targets[i]; });
  set(dloss, 0, 0.5);
  Tape tape;
  const Var input = Var::input(x, &tape, true), loss = cross_entropy(input, t);
  tape.backward(loss, dloss);
  EXPECT_EQ(input.grad().tensor().raw(), x.raw()) << "the gradient is written over the logits";
  return {at(loss.value(), 0), doubles(input.grad().tensor())};
}

TEST(CrossEntropy, SumsOverRowsThatAreNotIgnored) {
  const double ln = std::numbers::ln2;
  const auto [loss, dlogits] = run({3, 2}, {0, ln, 7, 8, ln, 0}, {0, kIgnoredTarget, 0});
  EXPECT_DOUBLE_EQ(loss, std::log(3) + std::log(1.5));
  const std::vector<double> want{0.5 * (1 / 3. - 1), 0.5 * 2 / 3, 0, 0,
                                 0.5 * (2 / 3. - 1), 0.5 / 3};
  EXPECT_THAT(dlogits, testing::Pointwise(testing::DoubleNear(1e-15), want));
}

TEST(CrossEntropy, OfIgnoredRowsAloneIsZero) {
  const auto [loss, dlogits] = run({1, 2}, {3, kInf}, {kIgnoredTarget}, DType::f32);
  EXPECT_EQ(loss, 0);
  EXPECT_THAT(dlogits, testing::Each(0));
}

TEST(CrossEntropy, LargeAndMaskedLogits) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    const auto [loss, dlogits] =
        run({2, 3}, {-kInf, 1024, 1024, -kInf, -kInf, -1024}, {1, 2}, dtype);
    EXPECT_NEAR(loss, std::numbers::ln2, 1e-6) << dtype;
    EXPECT_THAT(dlogits, testing::Pointwise(testing::DoubleNear(1e-6),
                                            std::vector<double>{0, -0.25, 0.25, 0, 0, 0}))
        << dtype;
  }
}

// Of more logits than are summed at a time, and more rows than one thread takes.
struct Large {
  Shape shape{7, 5000};
  std::vector<double> logits = doubles(noise(shape, DType::bf16, 1));
  std::vector<std::int32_t> targets{4999, 0, 2047, 2048, kIgnoredTarget, 17, 4096};
};

TEST(CrossEntropy, LargeVocabulary) {
  const auto [shape, logits, targets] = Large();
  double loss = 0;
  std::vector<double> dlogits(logits.size());
  for (std::size_t r = 0; r < targets.size(); ++r) {
    if (targets[r] == kIgnoredTarget) continue;
    const double* x = &logits[r * 5000];
    double sum = 0;
    for (std::size_t i = 0; i < 5000; ++i) sum += std::exp(x[i]);
    for (std::size_t i = 0; i < 5000; ++i) dlogits[r * 5000 + i] = 0.5 * std::exp(x[i]) / sum;
    const auto target = static_cast<std::size_t>(targets[r]);
    dlogits[r * 5000 + target] -= 0.5;
    loss += std::log(sum) - x[target];
  }
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-14},
                                      {DType::f32, 1e-7},
                                      {DType::bf16, 1e-3},
                                      {DType::f16, 2e-4}}) {
    const Result got = run(shape, logits, targets, dtype);
    EXPECT_NEAR(got.loss, loss, 1e-7 * loss) << dtype;
    EXPECT_THAT(got.dlogits, testing::Pointwise(testing::DoubleNear(within), dlogits)) << dtype;
  }
}

TEST(CrossEntropy, ThreadsChangeNoBit) {
  const auto [shape, logits, targets] = Large();
  const int before = omp_get_max_threads();
  std::vector<Result> results;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    results.push_back(run(shape, logits, targets, DType::f32));
  }
  omp_set_num_threads(before);
  for (const Result& result : results) {
    EXPECT_EQ(result.loss, results[0].loss);
    EXPECT_EQ(result.dlogits, results[0].dlogits);
  }
}

TEST(CrossEntropy, NotANumberShows) {
  EXPECT_TRUE(std::isnan(run({1, 2}, {0, NAN}, {0}, DType::f32).loss));
}

TEST(CrossEntropy, NamesTheTargetThatIsOutOfRange) {
  for (const std::int32_t target : {2, -2})
    EXPECT_THAT(
        [=] {
          run({1, 2}, {0, 0}, {target});
        },
        testing::ThrowsMessage<Error>(
            testing::HasSubstr("target " + std::to_string(target) + " of a vocabulary of 2")));
}

}  // namespace
}  // namespace fusor
