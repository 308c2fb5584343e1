#include "io/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "io/order.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoaderTest : public FolderTest {
 protected:
  LoaderTest() {
    write("in.txt", text_);
    build_text_dataset({.inputs = {path("in.txt")},
                        .output = path("set"),
                        .val_fraction = 0,
                        .shard_bytes = 1500});
    dataset_ = std::make_unique<Dataset>(path("set"), "train");
  }

  struct Unpacked {
    explicit Unpacked(const TokenWindows& batch)
        : tokens(batch.rows.size() * static_cast<std::size_t>(batch.seq_len)),
          targets(tokens.size()) {
      unpack(batch, tokens, targets);
    }
    std::vector<std::int32_t> tokens, targets;
  };

  // Row `row` of a batch must be the window of this sample.
  void expect_sample(const Unpacked& batch, std::int64_t row, std::int64_t sample) const {
    const auto at = static_cast<std::size_t>(row * kSeqLen);
    const auto tokens = std::span(batch.tokens).subspan(at, kSeqLen),
               targets = std::span(batch.targets).subspan(at, kSeqLen);
    const auto begin = static_cast<std::size_t>(sample * kSeqLen);
    EXPECT_EQ(std::string(tokens.begin(), tokens.end()), text_.substr(begin, kSeqLen));
    EXPECT_EQ(std::string(targets.begin(), targets.end()), text_.substr(begin + 1, kSeqLen));
  }

  static constexpr std::int64_t kSeqLen = 37;
  const std::string text_ = numbered_documents(120);
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(LoaderTest, DeliversTheOrderOverEpochsForAnyThreads) {
  const std::int64_t n = dataset_->num_samples(kSeqLen);
  for (const int threads : {1, 3})
    for (const Sampling sampling : {Sampling::shuffled, Sampling::in_order}) {
      Loader loader(*dataset_, {.seq_len = kSeqLen,
                                .global_batch = 12,
                                .count = 12,
                                .micro_batch = 4,
                                .sampling = sampling,
                                .seed = 9,
                                .num_threads = threads,
                                .depth = 3});
      for (std::int64_t position = 0; position < 3 * n; position += 4) {
        const TokenWindows batch = loader.next();
        const Unpacked unpacked(batch);
        ASSERT_EQ(batch.position, position);
        ASSERT_EQ(batch.num_targets, 4 * kSeqLen);
        for (std::int64_t row = 0; row < 4; ++row) {
          const std::int64_t p = position + row;
          expect_sample(unpacked, row,
                        sampling == Sampling::shuffled ? epoch_order(9, p / n, n)(p % n) : p % n);
        }
      }
    }
}

TEST_F(LoaderTest, RanksAndAccumulationShareOneSequence) {
  using Rows = std::map<std::int64_t, std::vector<std::int32_t>>;  // by position
  const auto collect = [&](int ranks, std::int64_t micro, std::int64_t start, std::int64_t steps) {
    Rows rows;
    const std::int64_t count = 12 / ranks;
    for (int rank = 0; rank < ranks; ++rank) {
      Loader loader(*dataset_, {.seq_len = kSeqLen,
                                .global_batch = 12,
                                .first = rank * count,
                                .count = count,
                                .micro_batch = micro,
                                .start_step = start,
                                .seed = 2});
      for (std::int64_t b = 0; b < steps * count / micro; ++b) {
        const TokenWindows batch = loader.next();
        const Unpacked all(batch);
        for (std::int64_t row = 0; row < micro; ++row) {
          const auto tokens =
              std::span(all.tokens).subspan(static_cast<std::size_t>(row * kSeqLen), kSeqLen);
          EXPECT_TRUE(rows.try_emplace(batch.position + row, tokens.begin(), tokens.end()).second);
        }
      }
    }
    return rows;
  };
  const Rows whole = collect(1, 12, 0, 20);
  EXPECT_EQ(whole.size(), 240);
  EXPECT_EQ(whole.begin()->first, 0);
  EXPECT_EQ(whole.rbegin()->first, 239);
  EXPECT_EQ(collect(1, 2, 0, 20), whole);
  EXPECT_EQ(collect(4, 3, 0, 20), whole);
  Rows resumed = collect(2, 6, 0, 7);
  resumed.merge(collect(3, 1, 7, 13));
  EXPECT_EQ(resumed, whole);
}

TEST_F(LoaderTest, EvaluationSeesEveryTargetOnceForAnyRanks) {
  for (const int ranks : {1, 2, 5}) {
    std::int64_t steps = -1;
    std::map<std::int64_t, std::string> windows;  // targets by position
    for (int rank = 0; rank < ranks; ++rank) {
      Loader loader(*dataset_, evaluation_config(kSeqLen, 3, rank, ranks));
      if (rank == 0) steps = loader.num_steps();
      ASSERT_EQ(loader.num_steps(), steps);
      for (std::int64_t step = 0; step < steps; ++step) {
        const TokenWindows batch = loader.next();
        const auto [tokens, targets_of] = Unpacked(batch);
        for (std::size_t i = 0; i < targets_of.size(); ++i) {
          ASSERT_EQ(targets_of[i] != kIgnoredTarget, std::cmp_less(i, batch.num_targets));
          if (targets_of[i] == kIgnoredTarget) {
            EXPECT_EQ(tokens[i], 0);
            continue;
          }
          const auto position = batch.position + static_cast<std::int64_t>(i) / kSeqLen;
          windows[position] += static_cast<char>(targets_of[i]);
          const auto at = static_cast<std::size_t>(position * kSeqLen) + i % kSeqLen;
          EXPECT_EQ(tokens[i], text_[at]);
        }
      }
      EXPECT_THAT(thrown_by([&] { loader.next(); }), HasSubstr("all of its micro-batches"));
    }
    std::string targets;
    for (const auto& [position, window] : windows) targets += window;
    EXPECT_EQ(targets, text_.substr(1)) << ranks << " ranks";
  }
}

TEST_F(LoaderTest, WiderTokensComeAsTheyAreStored) {
  const std::vector<std::uint16_t> ids{7, 65000, 300, 2, 1, 0, 512, 9, 4};
  const std::int64_t offsets[] = {0, std::ssize(ids)};
  Manifest manifest;
  manifest.vocab_size = 65001;
  manifest.token_type = TokenType::u16;
  manifest.splits = {{"train",
                      {write_text_shard(path("set"), "wide.h5", TokenType::u16,
                                        std::as_bytes(std::span(ids)), offsets)}}};
  write("set/manifest.json", to_text(manifest));
  const Dataset dataset(path("set"), "train");
  Loader loader(dataset, {.seq_len = 4,
                          .global_batch = 3,
                          .count = 3,
                          .micro_batch = 3,
                          .sampling = Sampling::in_order});
  const Unpacked batch(loader.next());  // the third window is the first one of the next epoch
  EXPECT_THAT(batch.tokens, ElementsAre(7, 65000, 300, 2, 1, 0, 512, 9, 7, 65000, 300, 2));
  EXPECT_THAT(batch.targets, ElementsAre(65000, 300, 2, 1, 0, 512, 9, 4, 65000, 300, 2, 1));
}

TEST_F(LoaderTest, AReadersErrorComesOutOfNextAndStays) {
  Loader loader(*dataset_, {.seq_len = kSeqLen,
                            .global_batch = 4,
                            .count = 4,
                            .micro_batch = 4,
                            .sampling = Sampling::in_order,
                            .num_threads = 2,
                            .depth = 2});
  loader.next();
  std::filesystem::resize_file(path("set/train-00002.h5"), 100);
  const auto run = [&] {
    for (int i = 0; i < 1000; ++i) loader.next();
  };
  EXPECT_THAT(thrown_by(run), HasSubstr(path("set/train-00002.h5") + " is truncated"));
  EXPECT_THAT(thrown_by([&] { loader.next(); }), HasSubstr("train-00002.h5 is truncated"));
}

TEST_F(LoaderTest, StopsWithReadersWaitingOrUnused) {
  for (int i = 0; i < 50; ++i) {
    Loader loader(*dataset_, {.seq_len = kSeqLen,
                              .global_batch = 4,
                              .count = 4,
                              .micro_batch = 4,
                              .num_threads = 4,
                              .depth = 2});
    if (i % 2) loader.next();
  }
}

TEST_F(LoaderTest, NumbersThatDoNotFitAreRefused) {
  const auto refusal = [&](const LoaderConfig& config) {
    return thrown_by([&] { Loader(*dataset_, config); });
  };
  EXPECT_THAT(refusal({.seq_len = 8, .global_batch = 4, .count = 4, .micro_batch = 3}),
              HasSubstr("micro-batches of 3 do not divide a rank's batch of 4"));
  EXPECT_THAT(refusal({.seq_len = 8, .global_batch = 4, .first = 2, .count = 4, .micro_batch = 2}),
              HasSubstr("not in a global batch of 4"));
  EXPECT_THAT(refusal({.seq_len = 1 << 20, .global_batch = 4, .count = 4, .micro_batch = 2}),
              HasSubstr("too few for one sequence"));
}

}  // namespace
}  // namespace fusor::testing
