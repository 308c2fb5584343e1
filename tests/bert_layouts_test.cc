// BERT: the same run under every layout, and what a recipe of it is refused for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/document_builder.h"
#include "io/text_builder.h"
#include "launch/bert_task.h"
#include "runtime/random.h"
#include "runtime/target.h"
#include "tests/layouts_of_task.h"
#include "tests/text_dataset.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace layouts_of_task;
using ::testing::HasSubstr;

constexpr std::int64_t kSteps = 3, kWords = 40;

// Two classes of texts of other words, packed as labelled documents and as a stream.
class BertRuns : public testing::FolderTest {
 protected:
  void SetUp() override {
    std::string vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", table = "label\ttext\n", text;
    for (std::int64_t w = 0; w < kWords; ++w) vocab += "w" + std::to_string(w) + "\n";
    const RandomKey key = random_key(3, "texts");
    for (std::uint64_t i = 0; i < 60; ++i) {
      std::string words;
      for (std::uint64_t w = 0; w < 3 + i % 14; ++w)
        words += " w" + std::to_string((i % 2 == 0 ? 0 : kWords / 2) +
                                       random_bits(key, i << 8 | w) % (kWords / 2));
      table += (i % 2 == 0 ? "even\t" : "odd\t") + words + "\n";
      text += words + "\n\n";
    }
    write("vocab.txt", vocab), write("table.tsv", table), write("text.txt", text);
    build_document_dataset({.inputs = {path("table.tsv")},
                            .output = path("documents"),
                            .vocab = path("vocab.txt"),
                            .held_out = {.val = 0.3}});
    build_text_dataset({.inputs = {path("text.txt")},
                        .output = path("stream"),
                        .vocab = path("vocab.txt"),
                        .val_fraction = 0.3});
  }

  Config recipe(BertHead head, const std::string& data) const {
    Config c;
    apply_preset(c, "bert-tiny");
    c.bert.vocab_size = 5 + kWords, c.bert.seq_len = 16, c.bert.head = head;
    c.bert.block.width = 16, c.bert.block.heads = 4, c.bert.block.mlp_hidden = 24;
    c.bert.block.init_std = 0.1;
    c.data.path = path(data);
    c.train.global_batch = 8, c.train.micro_batch = 2, c.train.steps = kSteps;
    c.optimizer.lr = 3e-3;
    return c;
  }
  static TrialOutcome run(const Config& recipe, const std::string& layout) {
    const Config config = config_of(recipe, layout);
    const auto task = std::make_shared<BertTask>(config);
    task->open("train");
    return train(task, config, kSteps);
  }
  std::vector<Config> recipes() const {
    return {recipe(BertHead::classes, "documents"), recipe(BertHead::masked_words, "documents"),
            recipe(BertHead::masked_words, "stream")};
  }
};

TEST_F(BertRuns, AreTheSameToTheBitOnAnyCopies) {
  for (const Config& config : recipes()) {
    const TrialOutcome one = run(config, "");
    EXPECT_NE(one.losses.front(), one.losses.back());
    for (const char* layout : {"dp=2", "dp=4,zero=1", "dp=2,zero=3", "pp=2",
                               "dp=2,pp=2,zero=1,schedule=zb_h1", "pp=2,recompute=full"}) {
      SCOPED_TRACE(layout);
      expect_same_bits(run(config, layout), one);
    }
  }
}

TEST_F(BertRuns, AreTheSameButForRoundingWhereSumsAreSplit) {
  for (const Config& config : recipes()) {
    const TrialOutcome one = run(config, "");
    for (const char* layout :
         {"tp=2", "tp=2,sequence=true", "dp=2,tp=2,zero=3", "dp=2,tp=2,pp=2,zero=1"}) {
      SCOPED_TRACE(layout);
      expect_near(run(config, layout), one, 1e-4);
    }
  }
}

// All samples of a split, over the ranks of dp.
std::int64_t held_out_targets(const Config& config, int ranks) {
  BertTask task(resolve(config));
  task.open("val");
  std::int64_t targets = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    Mesh mesh;
    mesh.shape.dp = ranks, mesh.place.dp = rank;
    const RunSize size{
        .micro_batch = 3, .accumulation = 1, .dp = ranks, .seq_len = config.bert.seq_len};
    const HeldOut data = task.held_out("val", size, mesh);
    for (std::int64_t i = 0; i < data.count; ++i)
      targets += data.next(Batch::empty(data.shape_of(i), Device()));
  }
  return targets;
}

TEST_F(BertRuns, HeldOutTargetsAreCountedOnceOnAnyRanks) {
  for (const Config& config : recipes()) {
    const std::int64_t one = held_out_targets(config, 1);
    EXPECT_GT(one, 8);
    EXPECT_EQ(held_out_targets(config, 2), one);
    EXPECT_EQ(held_out_targets(config, 3), one);
  }
}

TEST_F(BertRuns, SamplesAreFramedAndMasked) {
  const Config config = resolve(recipe(BertHead::masked_words, "documents"));
  BertTask task(config);
  task.open("train");
  const RunSize size{.global_batch = 8, .micro_batch = 8, .accumulation = 1, .seq_len = 16};
  const Batch batch = Batch::empty(task.inputs(size, {}).shapes[0], Device());
  const std::int64_t targets = task.training(size, {}, 0)(batch);
  const auto tokens = batch["tokens"].host<std::int32_t>(),
             lengths = batch["lengths"].host<std::int32_t>(),
             positions = batch["positions"].host<std::int32_t>(),
             words = batch["targets"].host<std::int32_t>();
  std::int64_t masked = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto length = static_cast<std::size_t>(lengths[i]);
    EXPECT_EQ(tokens[16 * i], 2);               // [CLS]
    EXPECT_EQ(tokens[16 * i + length - 1], 3);  // [SEP]
    for (std::size_t t = length; t < 16; ++t) EXPECT_EQ(tokens[16 * i + t], 0);
    for (std::size_t p = 0; p < 3; ++p) {
      if (words[3 * i + p] == kIgnoredTarget) continue;
      ++masked;
      EXPECT_LT(static_cast<std::size_t>(positions[3 * i + p]), length - 1);
      EXPECT_GE(words[3 * i + p], 5);
    }
  }
  EXPECT_EQ(targets, masked);
  EXPECT_GT(masked, 8);
}

TEST_F(BertRuns, RecipesAreRefusedInOneSentence) {
  const auto refusal = [&](BertHead head, const char* data, const auto& change) {
    return thrown_by([&] {
      Config c = recipe(head, data);
      change(c);
      BertTask(resolve(c)).open("train");
    });
  };
  constexpr auto kClasses = BertHead::classes, kMasked = BertHead::masked_words;
  EXPECT_EQ(refusal(kClasses, "documents", [](Config&) {}), "no error");
  EXPECT_THAT(refusal(kClasses, "documents", [](Config& c) { c.bert.vocab_size = 44; }),
              HasSubstr("has 45 token ids but model.vocab_size is 44"));
  EXPECT_THAT(refusal(kClasses, "stream", [](Config&) {}),
              HasSubstr("is text without labels, but model.head is classes"));
  EXPECT_EQ(refusal(kMasked, "stream", [](Config& c) { c.parallel.cp = 2; }),
            "a BERT is not split by parallel.cp, leave it out");
  EXPECT_THAT(refusal(kMasked, "stream", [](Config& c) { c.data.seq_len = 17; }),
              HasSubstr("data.seq_len 17 should be above 2 and at most model.seq_len 16"));
  build_text_dataset({.inputs = {path("text.txt")}, .output = path("bytes")});
  EXPECT_THAT(refusal(kMasked, "bytes", [](Config&) {}),
              HasSubstr("holds tokens of bytes, but BERT reads word pieces"));
}

}  // namespace
}  // namespace fusor
