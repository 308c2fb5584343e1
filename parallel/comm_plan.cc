#include "parallel/comm_plan.h"

#include <sstream>
#include <vector>

#include "io/checksum.h"

namespace fusor {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string line_at(const std::vector<std::string>& lines, std::size_t i) {
  return i < lines.size() ? "'" + lines[i] + "'" : "nothing more";
}

}  // namespace

std::string planned_collectives(const Trace& trace) {
  std::ostringstream text;
  int n = 0;
  for (const TraceEvent& event : trace.events) {
    const auto* c = std::get_if<CommEvent>(&event);
    if (!c) continue;
    text << ++n << ' ' << name_of(c->kind) << ' ' << c->group << ' ' << c->dtype << ' ' << c->count << ' '
         << c->name;
    if (c->peer >= 0) text << " peer " << c->peer;
    text << '\n';
  }
  return text.str();
}

void require_same_collectives(const Group& world, const Trace& trace) {
  const std::string mine = planned_collectives(trace);
  const std::string hash = checksum_text(checksum(std::as_bytes(std::span(mine))));
  const std::vector<std::string> hashes = gather_texts(world, hash, "plan/hashes");
  std::size_t other = 0;
  while (other < hashes.size() && hashes[other] == hashes[0]) ++other;
  if (other == hashes.size()) return;
  const std::vector<std::string> plans = gather_texts(world, mine, "plan/collectives");
  const std::vector<std::string> a = lines_of(plans[0]), b = lines_of(plans[other]);
  std::size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  raise("ranks 0 and " + std::to_string(other) + " would wait for each other: at call " +
        std::to_string(i + 1) + " rank 0 plans " + line_at(a, i) + " and rank " +
        std::to_string(other) + " plans " + line_at(b, i));
}

}  // namespace fusor
