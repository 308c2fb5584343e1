#pragma once
#include "launch/config.h"
#include "launch/key.h"

// The keys of models that write down what is said: see visit_keys().
namespace fusor {

// clang-format off
template <class C, class F>
void visit_speech_model_keys(C& c, F&& f) {
  auto& m = c.speech;
  f(fixed_key("model.labels", "labels of the dataset, CTC's blank included", 2, 1 << 24), m.labels);
  f(fixed_key("model.bins", "mel bands of a frame", 7, 1 << 10), m.bins);
  f(fixed_key("model.max_frames", "positions after subsampling by four, of a transformer", 1, 1 << 20), m.max_frames);
  f(fixed_key("model.channels", "of the convolutions", 1, 1 << 14), m.channels);
  f(fixed_key("model.layers", "blocks of the encoder", 1, 1 << 12), m.layers);
  f(fixed_key("model.width", "width of the encoder", 1, 1 << 18), m.block.width);
  f(fixed_key("model.heads", "attention heads", 1, 1 << 12), m.block.heads);
  f(fixed_key("model.mlp_hidden", "hidden width of the MLP", 1, 1 << 20), m.block.mlp_hidden);
  f(key("model.dropout", "dropout probability of embeddings and of what a block adds", 0, 1), m.block.dropout);
  f(fixed_key("model.norm_eps", "added to the variance in norms"), m.block.norm_eps);
  f(key("model.init_std", "standard deviation of fresh weights of blocks and head"), m.block.init_std);
}

template <class C, class F>
void visit_speech_data_keys(C& c, F&& f) {
  auto& d = c.sounds;
  f(fixed_key("data.front_end", "whose log-mel features: whisper or kaldi"), d.front_end);
  f(key("data.max_seconds", "of a sound; a longer one is a bad sample", 0.1, 1 << 10), d.max_seconds);
  f(key("data.max_labels", "of a sound; one with more is a bad sample", 1, 1 << 20), d.max_labels);
  f(key("data.speed", "training plays sounds at 0.9, 1 or 1.1 times their speed"), d.speed);
  f(key("data.noise", "chance of white noise in training", 0, 1.01), d.noise);
  f(key("data.least_snr", "dB of signal over noise", -100, 100), d.least_snr);
  f(key("data.most_snr", "dB of signal over noise", -100, 100), d.most_snr);
  f(key("data.bin_masks", "blocks of bands that training leaves out", 0, 100), d.masks.bin_masks);
  f(key("data.most_bins", "bands of such a block", 0, 1 << 10), d.masks.most_bins);
  f(key("data.frame_masks", "blocks of frames that training leaves out", 0, 100), d.masks.frame_masks);
  f(key("data.most_frames", "frames of such a block, of 10 ms", 0, 1 << 20), d.masks.most_frames);
  f(key("data.most_frame_fraction", "of the sound's frames", 0, 1.01), d.masks.most_frame_fraction);
  f(key("data.on_bad_sample", "a sound that does not fit: fail, or skip it"), d.on_bad_sample);
}
// clang-format on

}  // namespace fusor
