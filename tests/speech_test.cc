// The same weights and sounds as tests/golden/make_speech.py gives PyTorch: logits, loss and every
// gradient.
#include "models/speech.h"

#include <gmock/gmock.h>

#include "parallel/parameter_store.h"
#include "runtime/world.h"
#include "tests/golden.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

SpeechConfig config_of(SpeechEncoder encoder) {
  return {.bins = 10,
          .max_frames = 7,
          .labels = 6,
          .channels = 3,
          .encoder = encoder,
          .layers = 2,
          .block = {.width = 8, .heads = 2, .mlp_hidden = 20, .norm_eps = 1e-5}};
}

Batch batch_of(const Golden& golden) {
  Batch batch;
  batch.shape.samples = golden.tensor("counts").dim(0);
  for (const char* name : {"features", "counts", "labels", "label_counts"}) {
    batch.values.push_back(golden.tensor(name));
    batch.shape.fields.push_back({name, batch.values.back().shape(), batch.values.back().dtype()});
  }
  return batch;
}

std::string stem(const std::string& name) { return name.substr(name.find('/') + 1); }

// The logits of frames that are there.
Tensor of_frames(const Tensor& logits, const Tensor& counts) {
  const std::int64_t samples = counts.dim(0), frames = logits.size() / samples / logits.dim(-1);
  std::vector<std::int64_t> rows;
  for (std::int64_t n = 0; n < samples; ++n)
    for (std::int64_t t = 0; t < counts.host<std::int32_t>()[static_cast<std::size_t>(n)]; ++t)
      rows.push_back(n * frames + t);
  return rows_of(logits.view({samples * frames, logits.dim(-1)}), rows);
}

void check(const std::string& name, SpeechEncoder encoder, DType dtype) {
  const Golden golden(name);
  const double tolerance = dtype == DType::f64 ? 1e-10 : 3e-5;
  Speech model(config_of(encoder));
  ParameterStore store(parameters_by_part(model), {.compute = dtype}, Mesh(), Device::heap(true));
  store.initialize(1);
  for (const auto& [box, weight] : store.state(false)) {
    const Tensor from = golden.tensor(stem(box.name));
    ASSERT_EQ(from.shape(), box.shape) << box.name;
    fill(weight, [values = doubles(from)](std::size_t i) { return values[i]; });
  }
  store.publish();
  const Batch batch = batch_of(golden);
  EXPECT_LE(distance(of_frames(model.logits(batch, {}).value(), batch["counts"]),
                     of_frames(golden.tensor("logits"), batch["counts"])),
            tolerance);
  const double want = golden.read<double>("loss")[0];
  const Tensor told = model.loss(batch, {}).value();
  EXPECT_NEAR(at(told, 0), want, tolerance * want);
  EXPECT_EQ(at(told, 1), 1) << "one text is too long for its sound";

  Tape tape;
  store.begin_micro(0);
  const Var loss = model.loss(batch, {.tape = &tape, .training = true});
  EXPECT_NEAR(at(loss.value(), 0), want, tolerance * want);
  const Tensor one({1}, DType::f64);
  set(one, 0, 1);
  tape.backward(loss, one);
  store.end_micro(0);
  for (const auto& [box, gradient] : store.gradients()) {
    const Tensor of = golden.tensor("grad." + stem(box.name)).view(gradient.shape());
    const bool counts = box.name.find("attn.k.bias") == std::string::npos;  // softmax ignores it
    EXPECT_LE(counts ? distance(gradient, of) : 0, tolerance) << box.name << " " << dtype;
  }
}

TEST(Speech, IsPyTorchs) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    check("speech_transformer", SpeechEncoder::transformer, dtype);
    check("speech_lstm", SpeechEncoder::lstm, dtype);
  }
}

TEST(Speech, SubsamplesByFour) {
  EXPECT_EQ(subsampled(6), 0);
  EXPECT_EQ(subsampled(7), 1);
  EXPECT_EQ(subsampled(10), 1);
  EXPECT_EQ(subsampled(11), 2);
  EXPECT_EQ(subsampled(1000), 249);
}

TEST(Speech, TellsTheShapesOfItsParts) {
  for (const SpeechEncoder encoder : {SpeechEncoder::transformer, SpeechEncoder::lstm}) {
    const Speech model(config_of(encoder));
    const BatchShape shape = speech_batch(model.config(), 3, 31, 5);
    EXPECT_EQ(model.parts().size(), 4u);
    EXPECT_EQ(model.output_shape(0, shape), (Shape{3 * 7, 8}));
    EXPECT_EQ(model.output_shape(2, shape), (Shape{3 * 7, 8}));
    EXPECT_EQ(model.output_shape(3, shape), (Shape{1}));
  }
}

TEST(Speech, RefusesWhatCannotBeBuilt) {
  using testing::HasSubstr;
  SpeechConfig config = config_of(SpeechEncoder::lstm);
  config.labels = 1;
  EXPECT_THAT(thrown_by([&] { Speech{config}; }), HasSubstr("model.labels 1"));
  config = config_of(SpeechEncoder::lstm);
  config.block.width = 7;
  EXPECT_THAT(thrown_by([&] { Speech{config}; }), HasSubstr("model.width 7"));
  config = config_of(SpeechEncoder::lstm);
  config.bins = 6;
  EXPECT_THAT(thrown_by([&] { Speech{config}; }), HasSubstr("model.bins 6"));
}

}  // namespace
}  // namespace fusor
