#include "models/beam_search.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>

#include "runtime/error.h"

namespace fusor {
namespace {

void require_valid(const BeamSearchConfig& c) {
  require(c.width > 0 && c.max_length >= 0 && c.length_power >= 0, "beam search: width ", c.width,
          ", max_length ", c.max_length, ", length_power ", c.length_power);
}

bool is_better(const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; }

// A prefix and one more token.
struct Longer {
  double score;
  std::size_t prefix;
  std::int32_t token;
};
bool is_before(const Longer& a, const Longer& b) {
  return std::tuple(-a.score, a.prefix, a.token) < std::tuple(-b.score, b.prefix, b.token);
}

// `labels` are prefixes with their start token, scores log-probabilities.
struct Search {
  const BeamSearchConfig& config;
  std::vector<Hypothesis> live, ended;

  double normalised(double log_probability, std::int64_t tokens) const {
    return log_probability / std::pow(static_cast<double>(tokens + 1), config.length_power);
  }
  void end(const Hypothesis& prefix, double log_probability) {
    const std::int64_t tokens = std::ssize(prefix.labels) - 1;
    ended.push_back({{prefix.labels.begin() + 1, prefix.labels.end()},
                     normalised(prefix.score + log_probability, tokens)});
  }
  // log_probabilities [live, vocab]
  void grow(const std::vector<float>& log_probabilities) {
    const std::size_t vocab = log_probabilities.size() / live.size();
    const bool must_end = std::ssize(live[0].labels) - 1 == config.max_length;
    std::vector<Longer> longer;
    for (std::size_t i = 0; i < live.size(); ++i) {
      const float* const p = log_probabilities.data() + i * vocab;
      end(live[i], p[config.end]);
      for (std::int32_t v = 0; !must_end && v < static_cast<std::int32_t>(vocab); ++v)
        if (v != config.end) longer.push_back({live[i].score + p[v], i, v});
    }
    const auto count = std::min(std::ssize(longer), config.width);
    std::ranges::partial_sort(longer, longer.begin() + count, is_before);
    std::vector<Hypothesis> kept;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const Longer& of = longer[static_cast<std::size_t>(i)];
      kept.push_back({live[of.prefix].labels, of.score});
      kept.back().labels.push_back(of.token);
    }
    live = std::move(kept);
    std::ranges::stable_sort(ended, is_better);
    if (std::ssize(ended) > config.width) ended.resize(static_cast<std::size_t>(config.width));
  }
  // A log-probability only falls, and no text is longer than the longest.
  bool is_over() const {
    return live.empty() || (std::ssize(ended) == config.width &&
                            ended.back().score >= normalised(live[0].score, config.max_length));
  }
};

}  // namespace

std::vector<Hypothesis> beam_search(const NextTokens& next, const BeamSearchConfig& config) {
  require_valid(config);
  Search search{config, {{{config.start}, 0}}, {}};
  while (!search.is_over()) {
    std::vector<std::vector<std::int32_t>> prefixes;
    for (const Hypothesis& prefix : search.live) prefixes.push_back(prefix.labels);
    search.grow(next(prefixes));
  }
  return std::move(search.ended);
}

std::vector<Hypothesis> rescored(std::vector<Hypothesis> of_ctc, std::span<const double> attention,
                                 double ctc_weight) {
  require(attention.size() == of_ctc.size(), of_ctc.size(), " texts with ", attention.size(),
          " scores of a decoder");
  for (std::size_t i = 0; i < of_ctc.size(); ++i)
    of_ctc[i].score = ctc_weight * of_ctc[i].score + (1 - ctc_weight) * attention[i];
  std::ranges::stable_sort(of_ctc, is_better);
  return of_ctc;
}

}  // namespace fusor
