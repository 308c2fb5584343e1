#include "io/record_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "io/order.h"
#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kRows = 23;

// Field 0 holds the row, field 1 two numbers drawn for the sample.
RecordLoaderConfig config_of(const BatchSampler& sampler, int threads = 1) {
  return {.num_batches = sampler.num_batches(),
          .num_rows = kRows,
          .plan = plan_with(sampler, {8, 8}),
          .transform =
              [](RecordBatch& batch, std::int64_t i) {
                const Sample& sample = batch.samples[static_cast<std::size_t>(i)];
                batch.at<std::int64_t>(0, i)[0] = sample.row;
                for (std::uint64_t n = 0; n < 2; ++n)
                  batch.at<std::uint32_t>(1, i)[n] = random_bits(sample.key(5), n);
              },
          .num_threads = threads,
          .depth = 3};
}

using Drawn = std::pair<std::int64_t, std::uint32_t>;  // row, second number

// By position, what `ranks` ranks load in so many steps of 12 samples.
std::map<std::int64_t, Drawn> collect(int ranks, std::int64_t micro, std::int64_t start,
                                      std::int64_t steps, int threads) {
  std::map<std::int64_t, Drawn> all;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::int64_t count = 12 / ranks;
    const BatchSampler sampler({.global_batch = 12,
                                .first = rank * count,
                                .count = count,
                                .micro_batch = micro,
                                .start_step = start,
                                .seed = 5},
                               kRows);
    RecordLoader loader(config_of(sampler, threads));
    for (std::int64_t b = 0; b < steps * count / micro; ++b) {
      RecordBatch& batch = loader.next();
      EXPECT_THAT(batch.valid, Each(1));
      for (std::int64_t i = 0; i < micro; ++i)
        EXPECT_TRUE(all.try_emplace(batch.samples[static_cast<std::size_t>(i)].position,
                                    batch.at<std::int64_t>(0, i)[0],
                                    batch.at<std::uint32_t>(1, i)[1])
                        .second);
    }
  }
  return all;
}

TEST(RecordLoader, SamplesAndWhatIsDrawnForThemAreTheSameForAnyRanksThreadsAndStarts) {
  const auto whole = collect(1, 12, 0, 10, 1);
  ASSERT_EQ(whole.size(), 120);
  for (const auto& [position, drawn] : whole)
    EXPECT_EQ(drawn.first, epoch_order(5, position / kRows, kRows)(position % kRows));
  EXPECT_EQ(collect(1, 3, 0, 10, 4), whole);
  EXPECT_EQ(collect(4, 1, 0, 10, 2), whole);
  auto resumed = collect(2, 6, 0, 4, 1);
  resumed.merge(collect(3, 2, 4, 6, 3));
  EXPECT_EQ(resumed, whole);
}

TEST(RecordLoader, EachEpochDrawsAnew) {
  std::map<std::int64_t, std::vector<std::uint32_t>> drawn;  // by row
  for (const auto& [position, what] : collect(1, 12, 0, 10, 1))
    drawn[what.first].push_back(what.second);
  for (auto& [row, numbers] : drawn) {
    std::ranges::sort(numbers);
    EXPECT_EQ(std::ranges::adjacent_find(numbers), numbers.end()) << row;
  }
}

TEST(RecordLoader, EvaluationSeesEachRowOnceAndPadsWithInvalidOnes) {
  for (const int ranks : {1, 2, 5}) {
    std::map<std::int64_t, int> seen;
    for (int rank = 0; rank < ranks; ++rank) {
      const BatchSampler sampler(evaluation_order(4, rank, ranks), kRows);
      RecordLoader loader(config_of(sampler));
      for (std::int64_t step = 0; step < sampler.num_steps(); ++step) {
        RecordBatch& batch = loader.next();
        for (std::int64_t i = 0; i < 4; ++i)
          if (batch.valid[static_cast<std::size_t>(i)] != 0)
            ++seen[batch.at<std::int64_t>(0, i)[0]];
          else
            EXPECT_EQ(batch.at<std::uint64_t>(1, i)[0], 0);
      }
      EXPECT_THAT(thrown_by([&] { loader.next(); }), HasSubstr("all of its micro-batches"));
    }
    EXPECT_EQ(seen.size(), kRows);
    for (const auto& [row, times] : seen) EXPECT_EQ(times, 1) << row;
  }
}

class BadRows : public ::testing::Test {
 protected:
  // Row 5 is bad, after its number was written.
  RecordLoaderConfig config(OnBadSample on_bad) const {
    RecordLoaderConfig config = config_of(sampler_);
    config.on_bad = on_bad;
    config.transform = [inner = config.transform](RecordBatch& batch, std::int64_t i) {
      inner(batch, i);
      require(batch.at<std::int64_t>(0, i)[0] != 5, "row 5 is broken");
    };
    return config;
  }
  const BatchSampler sampler_{
      {.global_batch = 4, .count = 4, .micro_batch = 4, .sampling = Sampling::in_order}, kRows};
};

TEST_F(BadRows, FailOnTheirBatchAndStay) {
  RecordLoader loader(config(OnBadSample::fail));
  loader.next();
  EXPECT_EQ(thrown_by([&] { loader.next(); }), "row 5 is broken");
  EXPECT_EQ(thrown_by([&] { loader.next(); }), "row 5 is broken");
}

TEST_F(BadRows, SkippedAreZeroInvalidNamedAndCounted) {
  RecordLoader loader(config(OnBadSample::skip));
  EXPECT_EQ(loader.next().faults.size(), 0);
  RecordBatch& batch = loader.next();
  EXPECT_THAT(batch.valid, ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(batch.field<std::int64_t>(0), ElementsAre(4, 0, 6, 7));
  EXPECT_THAT(batch.at<std::uint32_t>(1, 1), Each(0));
  EXPECT_THAT(batch.faults, ElementsAre("row 5 is broken"));
  for (int i = 0; i < 6; ++i) loader.next();  // to row 31 - 23 = 8 of the next epoch
  EXPECT_EQ(loader.num_bad(), 2);
}

TEST(RecordLoader, CompleteSeesAllSamplesAndShapesMayDifferByBatch) {
  const BatchSampler sampler(
      {.global_batch = 2, .count = 2, .micro_batch = 2, .sampling = Sampling::in_order}, kRows);
  RecordLoaderConfig config = config_of(sampler);
  config.plan = [&](std::int64_t batch) -> BatchPlan {
    return {sampler.samples_of(batch), {8, 8 * (1 + batch % 3)}};
  };
  config.complete = [](RecordBatch& batch) {
    const auto rows = batch.field<std::int64_t>(0);
    rows[0] += 100 * rows[1];
  };
  RecordLoader loader(config);
  for (std::int64_t b = 0; b < 9; ++b) {
    RecordBatch& batch = loader.next();
    EXPECT_EQ(batch.at<std::byte>(1, 1).size(), 8u * (1 + b % 3));
    EXPECT_EQ(batch.at<std::int64_t>(0, 0)[0], 2 * b + 100 * (2 * b + 1));
  }
}

}  // namespace
}  // namespace fusor
