#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/speech_config.h"

namespace fusor {

// A layer of an LSTM, both ways: y [rows, width] from x [rows, in]. Every rank of tp has all of it.
// Parameters "NAME.input.weight" [4 width, in], "NAME.input.bias" [4 width] and "NAME.state.weight"
// [4 width, width / 2]: see ops/lstm.h.
struct LstmLayer {
  std::string name;
  Parameter input_w, input_b, state_w;

  LstmLayer(const std::string& name, std::int64_t in, std::int64_t width);
  Var operator()(const Var& x, const Sequences&) const;
  void visit(const Visitor& f) { f(input_w), f(input_b), f(state_w); }
};

// A micro-batch of sounds, the longest of at most `frames` frames and `labels` labels:
//   features      f32 [samples, frames, bins]; what is past a sample's frames is not heard
//   counts        i32 [samples]: subsampled(its frames)
//   labels        i32 [samples, labels]
//   label_counts  i32 [samples]
BatchShape speech_batch(const SpeechConfig&, std::int64_t samples, std::int64_t frames,
                        std::int64_t labels);

// A recogniser: two convolutions, learned positions and encoder blocks, or layers of an LSTM both
// ways, and a linear layer to the labels, trained by CTC. The loss is the sum over samples; of
// those that are impossible there is none (ops/ctc_loss.h). Attention heads and hidden units are
// split over the mesh's tp. Parts: "subsample", "block.0" and so on, "head".
class Speech final : public Model {
 public:
  // Throws Error where tp cannot split it, cp or ep ask for it, or no such model can be built.
  explicit Speech(const SpeechConfig&, const Mesh& mesh = {});

  const SpeechConfig& config() const { return config_; }
  std::vector<Part> parts() const override;
  Var run(int part, const std::vector<Var>& inputs, const Batch&, const Pass&) const override;
  Shape output_shape(int part, const BatchShape&) const override;
  void visit(int part, const Visitor&) override;
  using Model::visit;
  std::vector<std::string> measures() const override { return {"impossible"}; }

  // [samples frames, labels], the frames after subsampling: what a decoder reads.
  Var logits(const Batch&, const Pass&) const;

 private:
  std::int64_t layers() const { return config_.layers; }
  Sequences sequences_of(const Batch&) const;
  Var subsample(const Batch&, const Pass&) const;
  Var encode(int part, const Var& x, const Batch&, const Pass&) const;
  Var head(const Var& x) const;

  SpeechConfig config_;
  TensorRegion region_;
  Parameter conv1_w_, conv1_b_, conv2_w_,
      conv2_b_;                         // [channels, 3, 3, 1], [channels, 3, 3, channels]
  Parameter join_w_, join_b_;           // [width, bins left * channels]
  std::optional<Parameter> positions_;  // of a transformer
  std::vector<EncoderBlock> blocks_;
  std::vector<LstmLayer> lstms_;
  NormLayer norm_;
  Parameter head_w_, head_b_;
};

}  // namespace fusor
