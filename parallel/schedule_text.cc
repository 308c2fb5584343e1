#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>

#include "parallel/schedule.h"
#include "runtime/error.h"

namespace fusor {
namespace {

std::optional<Entry> parse_entry(std::string_view word) {
  constexpr std::string_view kLetters = "FBW";
  const std::size_t phase = word.empty() ? word.npos : kLetters.find(word[0]);
  const char* const end = word.data() + word.size();
  if (phase == word.npos) return {};
  Entry e{static_cast<Phase>(phase), 0, 0};
  const auto [dot, stage_error] = std::from_chars(word.data() + 1, end, e.stage);
  if (stage_error != std::errc() || dot == end || *dot != '.') return {};
  const auto [rest, micro_error] = std::from_chars(dot + 1, end, e.micro);
  const bool ok = micro_error == std::errc() && rest == end && e.stage >= 0 && e.micro >= 0;
  return ok ? std::optional(e) : std::nullopt;
}

// By stage, the rank that has its entries.
std::vector<int> places_of(const std::vector<std::vector<Entry>>& ranks) {
  std::map<int, int> rank_of;
  for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank)
    for (const Entry& e : ranks[rank]) {
      const int first = rank_of.emplace(e.stage, rank).first->second;
      require(first == rank, "stage ", e.stage, " of a schedule stands in lines ", first + 1,
              " and ", rank + 1, "; a stage lies on one rank");
    }
  std::vector<int> places;
  for (const auto& [stage, rank] : rank_of) {
    require(stage == static_cast<int>(places.size()), "stage ", places.size(),
            " of a schedule has no entry");
    places.push_back(rank);
  }
  return places;
}

}  // namespace

char letter_of(Phase phase) { return "FBW"[static_cast<std::size_t>(phase)]; }

std::string name_of(const Entry& e) {
  return letter_of(e.phase) + std::to_string(e.stage) + '.' + std::to_string(e.micro);
}

std::string to_text(const Schedule& schedule) {
  std::string text;
  for (const auto& entries : schedule.ranks) {
    for (const Entry& e : entries) text += (&e == entries.data() ? "" : " ") + name_of(e);
    text += '\n';
  }
  return text;
}

Schedule parse_schedule(std::string_view text) {
  Schedule schedule;
  std::istringstream lines{std::string(text)};
  for (std::string line, word; std::getline(lines, line);) {
    auto& entries = schedule.ranks.emplace_back();
    for (std::istringstream words(line); words >> word;) {
      const std::optional<Entry> e = parse_entry(word);
      require(e.has_value(), "line ", schedule.num_ranks(), " of a schedule has \"", word,
              "\"; its words are like F0.3: F, B or W, the stage, the micro-batch");
      entries.push_back(*e);
      schedule.micros = std::max(schedule.micros, e->micro + 1);
      schedule.split |= e->phase == Phase::weight;
    }
  }
  schedule.rank_of = places_of(schedule.ranks);
  return schedule;
}

}  // namespace fusor
