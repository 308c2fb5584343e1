#include <gmock/gmock.h>

#include <numeric>

#include "launch/text_task.h"
#include "runtime/target.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::ElementsAre;

// Tokens 0, 1, ... and as targets 100, 101, ..., the last of which are not there.
void count_up(std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
  std::iota(tokens.begin(), tokens.end(), 0);
  std::iota(targets.begin(), targets.end(), 100);
  std::fill(targets.end() - 3, targets.end(), kIgnoredTarget);
}

std::vector<std::int32_t> values(const Tensor& t) {
  const auto all = t.host<std::int32_t>();
  return {all.begin(), all.end()};
}

void take(StagedBatch& staged, std::int64_t samples, const RowMap& rows, const TextSource& next) {
  staged.fill(token_batch(samples, rows), text_batches(next, rows, 256));
}

TEST(Upload, TakesTheRanksPositionsOfEachSample) {
  StagedBatch outer{Device()};
  take(outer, 2, RowMap::zigzag(0, 8, 0, 2), count_up);
  const Batch batch = outer.upload();
  EXPECT_THAT(values(batch["tokens"]), ElementsAre(0, 1, 6, 7, 8, 9, 14, 15));
  EXPECT_THAT(values(batch["targets"]), ElementsAre(100, 101, 106, 107, 108, 109, -1, -1));
  EXPECT_EQ(outer.num_targets(), 6);
  EXPECT_EQ(batch["tokens"].shape(), (Shape{2, 4}));
  EXPECT_EQ(batch.flat("tokens").shape(), (Shape{8}));
  StagedBatch inner{Device()};
  take(inner, 2, RowMap::zigzag(0, 8, 1, 2), count_up);
  EXPECT_THAT(values(inner.upload()["tokens"]), ElementsAre(2, 3, 4, 5, 10, 11, 12, 13));
  EXPECT_EQ(inner.num_targets(), 7);  // each target once over the ranks
}

TEST(Upload, OfWholeSamplesIsTheBatch) {
  StagedBatch staged{Device()};
  take(staged, 2, RowMap::whole(0, 4), count_up);
  EXPECT_THAT(values(staged.upload()["tokens"]), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(staged.num_targets(), 5);
}

TEST(Upload, TheNextBatchTakesThePlaceOfTheLast) {
  StagedBatch staged{Device()};
  take(staged, 1, RowMap::whole(0, 4), count_up);
  const Batch first = staged.upload();
  take(staged, 1, RowMap::whole(0, 4),
       [](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
         std::ranges::fill(tokens, 7);
         std::ranges::fill(targets, 8);
       });
  EXPECT_THAT(values(staged.upload()["targets"]), ElementsAre(8, 8, 8, 8));
  EXPECT_EQ(staged.num_targets(), 4);
  EXPECT_THAT(values(first["tokens"]), ElementsAre(0, 1, 2, 3));
}

TEST(Upload, BatchesMayHaveSeveralShapes) {
  const BatchShape small{"small", 1, {{"label", {1}, DType::i32}}},
      large{"large", 1, {{"label", {1}, DType::i32}, {"pixels", {1, 3}, DType::f32}}};
  StagedBatch staged{Device()};
  const BatchSource next = [](const Batch& to) {
    to["label"].host<std::int32_t>()[0] = to.has("pixels") ? 1 : 2;
    if (to.has("pixels")) std::ranges::fill(to["pixels"].host<float>(), 0.5F);
    return 1;
  };
  staged.fill(large, next);
  const Batch with = staged.upload();
  EXPECT_EQ(with["label"].host<std::int32_t>()[0], 1);
  EXPECT_EQ(with["pixels"].host<float>()[2], 0.5F);
  staged.fill(small, next);
  const Batch without = staged.upload();
  EXPECT_EQ(without["label"].host<std::int32_t>()[0], 2);
  EXPECT_EQ(thrown_by([&] { without["pixels"]; }), "a micro-batch of shape small has no pixels");
  EXPECT_EQ(thrown_by([&] {
              Batch{large, {}}["pixels"];
            }),
            "the values of pixels are not on this part of the model");
}

TEST(Upload, RefusesTokensThatTheModelDoesNotKnow) {
  const auto refusal = [](std::int32_t token, std::int32_t target) {
    return thrown_by([=] {
      const RowMap rows = RowMap::whole(0, 1);
      const TextSource next = [=](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
        tokens[0] = token, targets[0] = target;
      };
      StagedBatch(Device()).fill(token_batch(1, rows), text_batches(next, rows, 10));
    });
  };
  EXPECT_EQ(refusal(9, 9), "no error");
  EXPECT_EQ(refusal(0, kIgnoredTarget), "no error");
  EXPECT_EQ(refusal(10, 0),
            "the data hold token 10, which a model of model.vocab_size 10 does not know");
  EXPECT_EQ(refusal(kIgnoredTarget, 0),
            "the data hold token -1, which a model of model.vocab_size 10 does not know");
  EXPECT_EQ(refusal(0, -2),
            "the data hold token -2, which a model of model.vocab_size 10 does not know");
}

}  // namespace
}  // namespace fusor
