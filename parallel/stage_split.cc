#include "parallel/stage_split.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::vector<std::string_view> pieces(std::string_view text, char separator) {
  std::vector<std::string_view> all;
  for (std::size_t at; (at = text.find(separator)) != text.npos; text.remove_prefix(at + 1))
    all.push_back(trimmed(text.substr(0, at)));
  all.push_back(trimmed(text));
  return all;
}

void check_count(int stages, int parts) {
  require(stages > 0 && stages <= parts, stages, " pipeline stages for a model of ", parts,
          " parts; a stage is one part or more");
}

// The cheapest way to cut the first n parts into s stages, by best(s, n): `join` adds a stage's
// cost, or nothing where that stage is not allowed, to what the stages before it come to.
template <class Join>
StageSplit cut(const std::vector<double>& upto, int stages, const Join& join) {
  const int parts = static_cast<int>(upto.size()) - 1;
  std::vector<std::vector<int>> begin(stages + 1, std::vector<int>(parts + 1));
  std::vector<std::optional<double>> best(parts + 1);
  best[0] = 0;
  for (int s = 1; s <= stages; ++s) {
    std::vector<std::optional<double>> next(parts + 1);
    for (int n = s; n <= parts; ++n)
      for (int first = s - 1; first < n; ++first) {
        if (!best[first]) continue;
        const std::optional<double> total = join(*best[first], upto[n] - upto[first]);
        if (!total || (next[n] && *next[n] <= *total)) continue;
        next[n] = total;
        begin[s][n] = first;
      }
    best = std::move(next);
  }
  StageSplit split{{parts}};
  for (int s = stages; s > 0; --s)
    split.begins.insert(split.begins.begin(), begin[s][split.begins.front()]);
  return split;
}

int part_called(std::string_view name, const std::vector<std::string>& names) {
  const auto at = std::ranges::find(names, name);
  require(at != names.end(), "the model has no part \"", name, "\"", did_you_mean(name, names));
  return static_cast<int>(at - names.begin());
}

// "4,5,3"; nothing where the text is no list of numbers.
std::optional<std::vector<int>> parse_counts(std::string_view text) {
  std::vector<int> counts;
  for (std::string_view word : pieces(text, ',')) {
    int count = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), count);
    if (error != std::errc() || end != word.data() + word.size()) return {};
    counts.push_back(count);
  }
  return counts;
}

StageSplit split_by_counts(const std::vector<int>& counts, std::size_t parts) {
  StageSplit split{{0}};
  for (std::size_t stage = 0; stage < counts.size(); ++stage) {
    const int left = static_cast<int>(parts) - split.begins.back();
    require(counts[stage] > 0 && counts[stage] <= left, "stage ", stage, " is to have ",
            counts[stage], " parts; ", left, " of the model's ", parts, " are left for it");
    split.begins.push_back(split.begins.back() + counts[stage]);
  }
  return split;
}

StageSplit split_by_names(std::string_view text, const std::vector<std::string>& names) {
  StageSplit split{{0}};
  for (std::string_view range : pieces(text, '|')) {
    const int stage = split.num_stages(), due = split.begins.back();
    require(!range.empty(), "stage ", stage, " of the split \"", text, "\" has no part");
    const std::size_t dots = range.find("..");
    const int first = part_called(trimmed(range.substr(0, dots)), names);
    const int last =
        dots == range.npos ? first : part_called(trimmed(range.substr(dots + 2)), names);
    require(due < static_cast<int>(names.size()), "stage ", stage, " begins with ", names[first],
            ", but all parts stand in the stages before it");
    require(first == due, "stage ", stage, " begins with ", names[first], ", but ", names[due],
            " is the next part");
    require(last >= first, "stage ", stage, " ends with ", names[last], ", which stands before ",
            names[first]);
    split.begins.push_back(last + 1);
  }
  return split;
}

}  // namespace

int StageSplit::stage_of(int part) const {
  return static_cast<int>(std::ranges::upper_bound(begins, part) - begins.begin()) - 1;
}

StageSplit split_by_cost(const std::vector<double>& costs, int stages) {
  check_count(stages, static_cast<int>(costs.size()));
  std::vector<double> upto{0};  // the cost of the first n parts
  for (double cost : costs) {
    require(std::isfinite(cost) && cost >= 0, "part ", upto.size() - 1, " costs ", cost);
    upto.push_back(upto.back() + cost);
  }
  const StageSplit fastest = cut(
      upto, stages, [](double most, double cost) { return std::optional(std::max(most, cost)); });
  double most = 0;
  for (int s = 0; s < stages; ++s)
    most = std::max(most, upto[fastest.begins[s + 1]] - upto[fastest.begins[s]]);
  return cut(upto, stages, [&](double squares, double cost) {
    return cost <= most ? std::optional(squares + cost * cost) : std::nullopt;
  });
}

StageSplit parse_split(std::string_view text, const std::vector<std::string>& names, int stages) {
  check_count(stages, static_cast<int>(names.size()));
  const auto counts = parse_counts(text);
  const StageSplit split =
      counts ? split_by_counts(*counts, names.size()) : split_by_names(text, names);
  require(split.num_parts() == static_cast<int>(names.size()), "the split \"", text,
          "\" leaves out ",
          split.num_parts() < static_cast<int>(names.size()) ? names[split.num_parts()] : "",
          " and what comes after it");
  require(split.num_stages() == stages, "the split \"", text, "\" has ", split.num_stages(),
          " stages; the layout has ", stages);
  return split;
}

std::string to_text(const StageSplit& split, const std::vector<std::string>& names) {
  std::string text;
  for (int stage = 0; stage < split.num_stages(); ++stage) {
    const int first = split.begins[stage], last = split.begins[stage + 1] - 1;
    text += (stage == 0 ? "" : " | ") + names.at(first);
    if (last > first) text += ".." + names.at(last);
  }
  return text;
}

StageGraph stage_graph(const StageSplit& split, const std::vector<std::vector<int>>& inputs) {
  require(static_cast<int>(inputs.size()) == split.num_parts(), "a split of ", split.num_parts(),
          " parts for a model of ", inputs.size());
  StageGraph graph{std::vector<std::vector<int>>(split.num_stages())};
  for (int part = 0; part < split.num_parts(); ++part)
    for (int input : inputs[part]) {
      require(0 <= input && input < part, "part ", part, " reads part ", input,
              ", which does not come before it");
      auto& read = graph.inputs[split.stage_of(part)];
      if (split.stage_of(input) != split.stage_of(part)) read.push_back(split.stage_of(input));
    }
  for (auto& read : graph.inputs) {
    std::ranges::sort(read);
    read.erase(std::ranges::unique(read).begin(), read.end());
  }
  return graph;
}

std::vector<int> parts_between(const StageSplit& split, const std::vector<std::vector<int>>& inputs,
                               int from, int to) {
  std::vector<int> parts;
  for (int part = split.begins.at(to); part < split.begins.at(to + 1); ++part)
    for (int input : inputs.at(part))
      if (split.stage_of(input) == from) parts.push_back(input);
  std::ranges::sort(parts);
  parts.erase(std::ranges::unique(parts).begin(), parts.end());
  return parts;
}

}  // namespace fusor
