#include "launch/layout_text.h"

#include <algorithm>
#include <sstream>

#include "launch/ini.h"
#include "launch/keys.h"

namespace fusor {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// A piece without '=' goes on with the value before it: split=5,3.
KeyValues entries_of(const std::string& layout, const std::string& where) {
  KeyValues entries;
  std::istringstream pieces(layout);
  std::string* value = nullptr;
  for (std::string piece; std::getline(pieces, piece, ',');) {
    const std::size_t equals = piece.find('=');
    if (equals == piece.npos) {
      require(value, where, ": \"", trimmed(piece), "\" is not KEY=VALUE");
      *value += "," + trimmed(piece);
      continue;
    }
    const std::string key = "parallel." + trimmed(piece.substr(0, equals));
    const auto [entry, first] = entries.try_emplace(key, trimmed(piece.substr(equals + 1)));
    require(first, where, ": ", key, " is given twice");
    value = &entry->second;
  }
  return entries;
}

}  // namespace

ParallelConfig parse_layout(const std::string& text, const ParallelConfig& recipe,
                            std::int64_t ranks) {
  const std::string where = "layout \"" + text + "\"";
  Config config;
  ParallelConfig& p = config.parallel;
  p.reduce = Reduce::exact;
  p.threads = recipe.threads, p.bucket_mb = recipe.bucket_mb, p.transport = recipe.transport;
  set_fields(entries_of(text, where), where, "fusor train --help lists them all",
             [&](auto&& field) { visit_parallel_keys(config, field); });
  const std::int64_t model_ranks = p.tp * p.cp * p.pp;
  if (p.dp == 0) p.dp = std::max<std::int64_t>(1, ranks / model_ranks);
  require(ranks == 0 || ranks_of(p) == ranks, where, " takes ", ranks_of(p), " ranks, not ", ranks);
  return p;
}

std::int64_t ranks_of(const ParallelConfig& p) { return p.dp * p.tp * p.cp * p.pp; }

std::vector<std::string> split_layouts(const std::string& text) {
  std::vector<std::string> layouts;
  std::istringstream pieces(text);
  for (std::string piece; std::getline(pieces, piece, ';');)
    if (!trimmed(piece).empty()) layouts.push_back(trimmed(piece));
  require(!layouts.empty(), "no layout is given, for example \"dp=2; tp=2,pp=2\"");
  return layouts;
}

}  // namespace fusor
