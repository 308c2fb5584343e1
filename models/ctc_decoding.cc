#include "models/ctc_decoding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  const double max = std::max(a, b);
  return max == kNever ? kNever : max + std::log1p(std::exp(std::min(a, b) - max));
}

void require_valid(const CtcOutput& o) {
  require(o.vocab > 0 && std::ssize(o.logits) % o.vocab == 0 && 0 <= o.blank && o.blank < o.vocab,
          "CTC decoding: ", o.logits.size(), " logits of a vocabulary of ", o.vocab, " with blank ",
          o.blank);
}

std::vector<double> log_softmax(std::span<const float> logits) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - max);
  require(std::isfinite(max + sum), "CTC decoding: a logit is not finite");
  std::vector<double> of(logits.begin(), logits.end());
  for (double& x : of) x -= max + std::log(sum);
  return of;
}

std::span<const float> frame_of(const CtcOutput& o, std::int64_t t) {
  const auto vocab = static_cast<std::size_t>(o.vocab);
  return o.logits.subspan(static_cast<std::size_t>(t) * vocab, vocab);
}

// The places of the `count` largest, in order of place; of equals the lowest.
std::vector<std::int32_t> largest(const std::vector<double>& x, std::int64_t count) {
  std::vector<std::int32_t> places(x.size());
  std::iota(places.begin(), places.end(), 0);
  if (count == 0 || count >= std::ssize(x)) return places;
  const auto above = [&](std::int32_t a, std::int32_t b) {
    const double xa = x[static_cast<std::size_t>(a)], xb = x[static_cast<std::size_t>(b)];
    return xa != xb ? xa > xb : a < b;
  };
  std::nth_element(places.begin(), places.begin() + count, places.end(), above);
  places.resize(static_cast<std::size_t>(count));
  std::ranges::sort(places);
  return places;
}

// A prefix is its parent and its last label; these are its key. The empty one has neither.
using Key = std::uint64_t;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr Key key_of(std::uint32_t parent, std::uint32_t label) {
  return Key{parent} << 32 | label;
}
constexpr Key kEmpty = key_of(kNone, kNone);

// Log-probabilities of the paths that spell a prefix and end in a blank, or in its last label.
struct Ends {
  double blank = kNever, label = kNever;
  double total() const { return log_add(blank, label); }
};

// All prefixes that were ever kept, by number.
class Prefixes {
 public:
  std::uint32_t number_of(Key key) {
    const auto [at, is_new] = numbers_.try_emplace(key, static_cast<std::uint32_t>(keys_.size()));
    if (is_new) keys_.push_back(key);
    return at->second;
  }
  std::vector<std::int32_t> labels(Key key) const {
    std::vector<std::int32_t> of;
    for (; key != kEmpty; key = keys_[key >> 32]) of.push_back(static_cast<std::int32_t>(key));
    std::ranges::reverse(of);
    return of;
  }

 private:
  std::unordered_map<Key, std::uint32_t> numbers_;
  std::vector<Key> keys_;
};

struct Kept {
  Key key;
  Ends ends;
};

// The prefixes after one more frame, of log-probabilities p; not in order.
std::vector<Kept> grown(const std::vector<Kept>& beam, const std::vector<double>& p,
                        const std::vector<std::int32_t>& labels, std::int32_t blank,
                        Prefixes& prefixes) {
  std::unordered_map<Key, Ends> next;
  for (const auto& [key, ends] : beam) {
    const double total = ends.total();
    const auto last = static_cast<std::uint32_t>(key);
    Ends& same = next[key];
    same.blank = log_add(same.blank, total + p[static_cast<std::size_t>(blank)]);
    if (key != kEmpty) same.label = log_add(same.label, ends.label + p[last]);
    const std::uint32_t number = prefixes.number_of(key);
    for (const std::int32_t c : labels) {
      if (c == blank) continue;
      const auto label = static_cast<std::uint32_t>(c);
      const double before = key != kEmpty && label == last ? ends.blank : total;
      Ends& longer = next[key_of(number, label)];
      longer.label = log_add(longer.label, before + p[label]);
    }
  }
  std::vector<Kept> all;
  for (const auto& [key, ends] : next)
    if (ends.total() > kNever) all.push_back({key, ends});
  return all;
}

// The best `width`, in order; of equals the one of the lower key.
void keep_best(std::vector<Kept>& beam, std::int64_t width) {
  const auto better = [](const Kept& a, const Kept& b) {
    const double x = a.ends.total(), y = b.ends.total();
    return x != y ? x > y : a.key < b.key;
  };
  const auto count = std::min(width, std::ssize(beam));
  std::partial_sort(beam.begin(), beam.begin() + count, beam.end(), better);
  beam.resize(static_cast<std::size_t>(count));
}

}  // namespace

Hypothesis ctc_greedy(const CtcOutput& output) {
  require_valid(output);
  Hypothesis best;
  std::int32_t before = output.blank;
  for (std::int64_t t = 0; t < output.frames(); ++t) {
    const std::vector<double> p = log_softmax(frame_of(output, t));
    const auto at = std::ranges::max_element(p);
    const auto label = static_cast<std::int32_t>(at - p.begin());
    best.score += *at;
    if (label != output.blank && label != before) best.labels.push_back(label);
    before = label;
  }
  return best;
}

std::vector<Hypothesis> ctc_prefix_beam(const CtcOutput& output, const CtcBeamConfig& config) {
  require_valid(output);
  require(config.width > 0 && config.labels_per_frame >= 0, "CTC beam: width ", config.width,
          ", labels per frame ", config.labels_per_frame);
  Prefixes prefixes;
  std::vector<Kept> beam{{kEmpty, {.blank = 0}}};
  for (std::int64_t t = 0; t < output.frames(); ++t) {
    const std::vector<double> p = log_softmax(frame_of(output, t));
    beam = grown(beam, p, largest(p, config.labels_per_frame), output.blank, prefixes);
    keep_best(beam, config.width);
  }
  std::vector<Hypothesis> found;
  for (const auto& [key, ends] : beam) found.push_back({prefixes.labels(key), ends.total()});
  return found;
}

}  // namespace fusor
