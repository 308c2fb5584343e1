#include "runtime/nearest.h"

#include <algorithm>
#include <numeric>

namespace fusor {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the dynamic program: row i holds the distances of a[0, i) to every prefix of b.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

namespace {

std::string_view last_name(std::string_view word) { return word.substr(word.rfind('.') + 1); }

bool is_slip(std::string_view a, std::string_view b, std::size_t distance) {
  return distance <= std::max<std::size_t>(1, std::max(a.size(), b.size()) / 3);
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  std::pair least{false, std::string::npos};
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const bool other_name = last_name(candidate) != last_name(word);
    if (other_name && !is_slip(word, candidate, distance)) continue;
    const std::pair rank{other_name, distance};
    if (best != nullptr && rank >= least) continue;
    least = rank;
    best = &candidate;
  }
  return best == nullptr ? "" : *best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? "" : ", did you mean \"" + best + "\"?";
}

std::string did_you_mean_of(std::string_view word, const std::vector<std::string>& known) {
  std::string hint = did_you_mean(word, known);
  if (hint.empty())
    for (const std::string& name : known) hint += (hint.empty() ? ", known are " : ", ") + name;
  return hint;
}

std::string nearest_divisors(std::int64_t n, std::int64_t d) {
  std::int64_t below = std::min(d, n), above = d;
  while (n % below != 0) --below;
  while (above < n && n % above != 0) ++above;
  return std::to_string(below) + (above <= n ? " or " + std::to_string(above) : "");
}

}  // namespace fusor
