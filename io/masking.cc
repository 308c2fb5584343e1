#include "io/masking.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "runtime/error.h"
#include "runtime/target.h"

namespace fusor {
namespace {

// The words of a position's counter.
constexpr int kOrder = 0, kShow = 1, kReplacement = 2;

std::uint32_t draw(RandomKey key, std::uint64_t sample, std::int32_t position, int word) {
  return philox(key, static_cast<std::uint64_t>(position), sample)[static_cast<std::size_t>(word)];
}

void check(const MaskingConfig& c) {
  require(c.rate > 0 && c.rate <= 1, "the share of masked tokens must be in (0, 1], not ", c.rate);
  require(c.as_mask >= 0 && c.as_random >= 0 && c.as_mask + c.as_random <= 1,
          "of the tokens to predict, shares of ", c.as_mask, " as [MASK] and ", c.as_random,
          " as random tokens make no sense");
  require(c.capacity > 0, "a sequence must have room for 1 prediction or more, not ", c.capacity);
}

}  // namespace

Masking::Masking(const MaskingConfig& config, const WordPiece& vocabulary)
    : config_(config),
      vocab_size_(vocabulary.size()),
      cls_(vocabulary.cls()),
      sep_(vocabulary.sep()),
      pad_(vocabulary.pad()),
      mask_(vocabulary.mask()) {
  check(config);
  for (std::int32_t id = 0; id < vocab_size_; ++id) continues_.push_back(vocabulary.continues(id));
}

void Masking::operator()(RandomKey key, std::uint64_t sample, std::span<std::int32_t> tokens,
                         std::span<std::int32_t> positions, std::span<std::int32_t> targets) const {
  require(std::ssize(positions) == config_.capacity && std::ssize(targets) == config_.capacity,
          "masking: ", positions.size(), " positions and ", targets.size(),
          " targets, but room for ", config_.capacity);
  const std::vector<std::int32_t> chosen = choose(candidates(key, sample, tokens));
  std::ranges::fill(positions, 0);
  std::ranges::fill(targets, kIgnoredTarget);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::int32_t& token = tokens[static_cast<std::size_t>(chosen[i])];
    positions[i] = chosen[i];
    targets[i] = token;
    token = shown(key, sample, chosen[i], token);
  }
}

std::vector<Masking::Candidate> Masking::candidates(RandomKey key, std::uint64_t sample,
                                                    std::span<const std::int32_t> tokens) const {
  std::vector<Candidate> all;
  bool after_word = false;  // the position before is the last of all.back()
  for (std::int32_t p = 0; p < std::ssize(tokens); ++p) {
    const std::int32_t token = tokens[static_cast<std::size_t>(p)];
    if (is_special(token)) {
      after_word = false;
    } else if (config_.whole_words && after_word &&
               continues_.at(static_cast<std::size_t>(token))) {
      ++all.back().count;
    } else {
      all.push_back({draw(key, sample, p, kOrder), p, 1});
      after_word = true;
    }
  }
  return all;
}

std::vector<std::int32_t> Masking::choose(std::vector<Candidate> candidates) const {
  std::int64_t tokens = 0;
  for (const Candidate& candidate : candidates) tokens += candidate.count;
  const auto wanted = std::clamp<std::int64_t>(
      std::llround(config_.rate * static_cast<double>(tokens)), 1, config_.capacity);
  std::ranges::sort(candidates, {}, [](const Candidate& c) { return std::tie(c.order, c.first); });
  std::vector<std::int32_t> chosen;
  for (const Candidate& candidate : candidates) {
    if (std::ssize(chosen) == wanted) break;
    if (std::ssize(chosen) + candidate.count > wanted) continue;
    for (std::int32_t i = 0; i < candidate.count; ++i) chosen.push_back(candidate.first + i);
  }
  std::ranges::sort(chosen);
  return chosen;
}

std::int32_t Masking::shown(RandomKey key, std::uint64_t sample, std::int32_t position,
                            std::int32_t token) const {
  const double u = draw(key, sample, position, kShow) * 0x1p-32;
  if (u < config_.as_mask) return mask_;
  if (u >= config_.as_mask + config_.as_random) return token;
  const std::uint64_t r = draw(key, sample, position, kReplacement);
  return static_cast<std::int32_t>(r * static_cast<std::uint64_t>(vocab_size_) >> 32);
}

}  // namespace fusor
