#pragma once
#include <memory>
#include <string>
#include <vector>

#include "launch/config.h"
#include "models/generate.h"

namespace fusor {

// The samples of text that a run shows as it trains, of a model of byte tokens. Takes memory only
// where train.sample_every asks for samples.
class Sampler {
 public:
  // `model` and `device` as of the run; the model must outlive the sampler.
  Sampler(const Config& config, const Gpt& model, const Device& device);

  // Plays one sample on a meta device; nothing where the recipe asks for none.
  void rehearse() const;
  // train.sample_tokens tokens that go on from train.sample_prompt (from a new line where that is
  // empty), the prompt included, as a terminal can show them: see printable(). The random numbers
  // are those of (train.seed, step).
  std::string sample(std::int64_t step) const;

 private:
  std::uint64_t seed_;
  std::int64_t count_;
  std::vector<std::int32_t> prompt_;
  std::unique_ptr<Generator> generator_;  // null: no samples
};

// Text as byte tokens: each byte is its own id.
std::vector<std::int32_t> byte_tokens(const std::string& text);
// The byte of a token; '?' for ids that are no byte.
char byte_of(std::int32_t token);
// `text` with '?' for control characters, but for line breaks and tabs.
std::string printable(std::string text);

}  // namespace fusor
