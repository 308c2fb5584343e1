#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "models/gpt.h"

namespace fusor {

// How the next token is drawn from softmax(logits / temperature).
struct SamplingConfig {
  double temperature = 1;  // 0: greedy, the most probable token
  std::int64_t top_k = 0;  // only the k most probable tokens; 0: all
  // Only the fewest most probable tokens whose probabilities, among those that top_k left, sum to
  // at least top_p (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751). 1: all
  double top_p = 1;
  std::uint64_t seed = 1;
};

// Throws Error that names the field whose value makes no sense.
void require_valid(const SamplingConfig&);

// The token at `position` of a text, drawn from its logits [vocab]. The random number is a function
// of seed and position. Of equally probable tokens, the lower ids come first. Throws Error when a
// logit is not finite.
std::int32_t sample_token(std::span<const float> logits, const SamplingConfig&,
                          std::int64_t position);

// Makes text with a cache of keys and values. The text may grow longer than the cache: when it is
// full, the newer half of what it held is read again as the start of a fresh window, so that every
// token is drawn with at least capacity / 2 tokens in view (the rest is forgotten).
class Generator {
 public:
  // The cache for `capacity` tokens is allocated here, on `device`, where the model's weights of
  // `dtype` are. Throws Error unless 0 < capacity <= the model's seq_len.
  Generator(const Gpt& model, std::int64_t capacity, DType dtype, const Device& device);

  // Draws `count` tokens that go on from the prompt and hands each to `emit` as it is made. Of the
  // prompt, the last `capacity` tokens are read. On an arena, rehearse() must have had the same
  // prompt length and count. Throws Error when the prompt is empty or holds a token that the model
  // does not know.
  void generate(std::span<const std::int32_t> prompt, std::int64_t count, const SamplingConfig&,
                const std::function<void(std::int32_t)>& emit);
  // Plays one run of each program that generate() runs: sample.prefill reads the prompt,
  // sample.decode one token, sample.window the start of a fresh window.
  void rehearse(std::int64_t prompt_length, std::int64_t count);

 private:
  // Returns the logits [vocab] of the successor of the last token; nothing on meta.
  std::vector<float> read(std::string_view program, std::span<const std::int32_t> tokens);
  std::int64_t window() const;  // tokens that a fresh window starts with

  const Gpt& model_;
  Device device_;
  GptCache cache_;
  Tensor tokens_, logits_;  // i32 [capacity] and [vocab], on the host: what is read, what it says
};

}  // namespace fusor
