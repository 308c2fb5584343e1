#include "launch/sampler.h"

#include <algorithm>

#include "runtime/random.h"

namespace fusor {

std::vector<std::int32_t> byte_tokens(const std::string& text) {
  std::vector<std::int32_t> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

char byte_of(std::int32_t token) {
  return token >= 0 && token < 256 ? static_cast<char>(token) : '?';
}

std::string printable(std::string text) {
  std::ranges::replace_if(
      text,
      [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
      },
      '?');
  return text;
}

Sampler::Sampler(const Config& config, const Gpt& model, const Device& device)
    : seed_(static_cast<std::uint64_t>(config.train.seed)),
      count_(config.train.sample_tokens),
      prompt_(byte_tokens(config.train.sample_prompt.empty() ? "\n" : config.train.sample_prompt)) {
  if (config.train.sample_every == 0) return;
  for (const std::int32_t token : prompt_)
    require(token < config.model.vocab_size, "train.sample_prompt holds the byte ", token,
            " but model.vocab_size is ", config.model.vocab_size);
  const std::int64_t length = std::ssize(prompt_) + count_;
  generator_ = std::make_unique<Generator>(model, std::min(length, config.model.seq_len),
                                           config.train.dtype, device);
}

void Sampler::rehearse() const {
  if (generator_) generator_->rehearse(std::ssize(prompt_), count_);
}

std::string Sampler::sample(std::int64_t step) const {
  std::string text;
  for (const std::int32_t token : prompt_) text += byte_of(token);
  const RandomKey key = random_key(seed_, "samples", static_cast<std::uint64_t>(step));
  generator_->generate(prompt_, count_, {.seed = key.bits},
                       [&](std::int32_t token) { text += byte_of(token); });
  return printable(std::move(text));
}

}  // namespace fusor
