// Models of speech: the same run under every layout, and what a recipe of theirs is refused for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "io/record_writer.h"
#include "io/transcript.h"
#include "launch/speech_task.h"
#include "tests/layouts_of_task.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace layouts_of_task;
using testing::HasSubstr;

constexpr std::int64_t kRate = 8000, kSteps = 3;

// Tones, each a label: a text's after another. The last of the training split is too long.
void write_sounds(const std::string& folder) {
  const Labels labels = Labels::of_texts({"abc"}, TextUnits::characters);
  RecordWriter writer(
      {.output = folder,
       .fields = {
           {.name = "sound",
            .type = ElementType::i16,
            .ragged = true,
            .attributes = {{"sample_rate", std::to_string(kRate)}}},
           {.name = "labels", .type = ElementType::i32, .ragged = true, .names = labels.names()}}});
  for (std::uint64_t i = 0; i < 30; ++i) {
    std::string text;
    for (std::uint64_t c = 0; c < 1 + i % 3; ++c) text += static_cast<char>('a' + (i + c) % 3);
    std::vector<std::int16_t> sound(static_cast<std::size_t>(kRate / 10) * text.size() +
                                    (i == 23 ? kRate : kRate / 8));
    for (std::size_t s = 0; s < sound.size(); ++s) {
      const std::size_t at = std::min(s / (kRate / 10), text.size() - 1);
      const double hz = 300 * (1 + text[at] - 'a');
      sound[s] = static_cast<std::int16_t>(
          8000 * std::sin(2 * 3.14159 * hz * static_cast<double>(s) / kRate) +
          static_cast<double>(s * 7919 % 100));
    }
    const std::vector<std::int32_t> spelled = labels.of(text);
    writer.add(i < 24 ? "train" : "val", i, {FieldValue(sound), FieldValue(spelled)});
  }
  writer.finish();
}

Config recipe(const std::string& preset, const std::string& path) {
  Config c;
  apply_preset(c, preset);
  c.speech.labels = 6, c.speech.bins = 20, c.speech.channels = 3, c.speech.layers = 2;
  c.speech.max_frames = 20;
  c.speech.block.width = 16, c.speech.block.heads = 4, c.speech.block.mlp_hidden = 24;
  c.data.path = path;
  c.sounds.max_seconds = 0.6, c.sounds.max_labels = 3, c.sounds.noise = 0.5;
  c.sounds.masks = {.most_bins = 4, .most_frames = 5};
  c.train.global_batch = 8, c.train.micro_batch = 2, c.train.steps = kSteps;
  c.optimizer.lr = 3e-3;
  return c;
}

class SpeechLayouts : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { write_sounds(path()); }
  std::string path() const { return folder_.path() + "/sounds"; }
  TrialOutcome run(const std::string& preset, const std::string& layout) const {
    const Config config = config_of(recipe(preset, path()), layout);
    const auto task = std::make_shared<SpeechTask>(config);
    task->open("train");
    return train(task, config, kSteps);
  }

 private:
  TemporaryFolder folder_;
};

class TransformerLayouts : public SpeechLayouts {};
class TransformerSplitLayouts : public SpeechLayouts {};
class LstmLayouts : public SpeechLayouts {};

TEST_P(TransformerLayouts, TheRunIsTheSameToTheBit) {
  const TrialOutcome one = run("ctc-transformer-s", "");
  EXPECT_NE(one.losses.front(), one.losses.back());
  expect_same_bits(run("ctc-transformer-s", GetParam()), one);
}

TEST_P(TransformerSplitLayouts, TheRunIsTheSameButForRounding) {
  expect_near(run("ctc-transformer-s", GetParam()), run("ctc-transformer-s", ""), 1e-4);
}

TEST_P(LstmLayouts, TheRunIsTheSameToTheBit) {
  expect_same_bits(run("ctc-lstm-s", GetParam()), run("ctc-lstm-s", ""));
}

const std::vector<std::string> kCopies{"dp=2",
                                       "dp=4",
                                       "dp=2,zero=1",
                                       "dp=2,zero=3",
                                       "pp=2",
                                       "dp=2,pp=2,zero=1,schedule=zb_h1",
                                       "pp=2,recompute=full"};
INSTANTIATE_TEST_SUITE_P(, TransformerLayouts, testing::ValuesIn(kCopies));
INSTANTIATE_TEST_SUITE_P(, LstmLayouts,
                         testing::Values("dp=4", "dp=2,zero=3", "pp=2,recompute=full"));
INSTANTIATE_TEST_SUITE_P(, TransformerSplitLayouts,
                         testing::Values("tp=2", "dp=2,tp=2,zero=3", "tp=2,sequence=true",
                                         "dp=2,tp=2,pp=2,zero=1"));

using SpeechRecipes = SpeechLayouts;

TEST_F(SpeechRecipes, AreRefusedInOneSentence) {
  const auto refusal = [&](const auto& change) {
    return thrown_by([&] {
      Config c = recipe("ctc-transformer-s", path());
      change(c);
      SpeechTask(resolve(c)).open("train");
    });
  };
  EXPECT_EQ(refusal([](Config&) {}), "no error");
  EXPECT_THAT(refusal([](Config& c) { c.speech.labels = 5; }),
              HasSubstr("has 6 labels but model.labels is 5"));
  EXPECT_THAT(refusal([](Config& c) { c.sounds.max_seconds = 5; }),
              HasSubstr("but model.max_frames is 20"));
  EXPECT_THAT(refusal([](Config& c) { c.sounds.front_end = FrontEnd::whisper; }),
              HasSubstr("16000 Hz, not 8000"));
  EXPECT_THAT(refusal([](Config& c) { c.speech.encoder = SpeechEncoder::lstm, c.parallel.tp = 2; }),
              HasSubstr("an LSTM is not split by parallel.tp"));
}

// What a split gives on all ranks, and how many of its samples.
TEST_F(SpeechRecipes, SoundsThatDoNotFitAreSkippedOrErrors) {
  Config config = resolve(recipe("ctc-lstm-s", path()));
  const RunSize size{.micro_batch = 4, .accumulation = 1};
  const auto count = [&] {
    SpeechTask task(config);
    task.open("train");
    const HeldOut data = task.held_out("train", size, Mesh());
    std::int64_t sounds = 0;
    for (std::int64_t i = 0; i < data.count; ++i)
      sounds += data.next(Batch::empty(data.shape_of(i), Device()));
    return sounds;
  };
  EXPECT_EQ(count(), 23);
  config.sounds.on_bad_sample = OnBadSample::fail;
  EXPECT_THAT(thrown_by(count), HasSubstr("train[23] has "));
}

}  // namespace
}  // namespace fusor
