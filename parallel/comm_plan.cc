#include "parallel/comm_plan.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "io/checksum.h"
#include "parallel/compiled_script.h"
#include "parallel/job_index.h"
#include "runtime/error.h"

namespace fusor {
namespace {

enum class Peers { by_place, by_offset };  // of transfers: where, or how many places further

void print_calls(std::ostream& out, const std::vector<TraceEvent>& events, Peers peers) {
  int n = 0;
  for (const TraceEvent& event : events) {
    const auto* c = std::get_if<CommEvent>(&event);
    if (!c) continue;
    out << ++n << ' ' << name_of(c->kind) << ' ' << c->group << ' ' << c->dtype << ' ' << c->count
        << ' ' << label_of(*c);
    if (peers == Peers::by_offset && is_transfer(c->kind))
      out << " peer +" << offset_of(*c);
    else if (c->peer >= 0)
      out << " peer " << c->peer;
    out << '\n';
  }
}

void print_script(std::ostream& out, const Script& script) {
  for (const TraceProgram& program : script.programs) {
    out << "program " << program.name << '\n';
    print_calls(out, program.events, Peers::by_offset);
  }
  for (const ProgramRun& run : script.runs)
    out << "run" << where(script.programs[static_cast<std::size_t>(run.program)], run.micro)
        << '\n';
}

// "0-3 8": the ranks that have a script.
void print_ranks(std::ostream& out, const Job& job, int script) {
  const std::vector<int>& of = job.script_of_rank;
  for (std::size_t rank = 0; rank < of.size(); ++rank) {
    if (of[rank] != script) continue;
    out << ' ' << rank;
    const std::size_t first = rank;
    while (rank + 1 < of.size() && of[rank + 1] == script) ++rank;
    if (rank > first) out << '-' << rank;
  }
}

std::string text_of_rank_0(const Group& world, const std::string& mine) {
  Tensor size({1}, DType::i64);
  size.host<std::int64_t>()[0] = static_cast<std::int64_t>(mine.size());
  world->broadcast(size, 0, "plan/size").wait();
  Tensor text({size.host<std::int64_t>()[0]}, DType::u8);
  const std::span<std::uint8_t> bytes = text.host<std::uint8_t>();
  if (world.rank() == 0) std::ranges::copy(mine, bytes.begin());
  world->broadcast(text, 0, "plan/text").wait();
  return {bytes.begin(), bytes.end()};
}

// "in line 5 of their plans A has 'x' and B has 'y'": the first line in which two texts differ; ""
// where none does.
std::string first_difference(const std::string& a, const std::string& in_a, const std::string& b,
                             const std::string& in_b) {
  std::istringstream of_a(in_a), of_b(in_b);
  for (int i = 1;; ++i) {
    std::string x, y;
    const bool more_a(std::getline(of_a, x)), more_b(std::getline(of_b, y));
    if (more_a && more_b && x == y) continue;
    if (!more_a && !more_b) return "";
    const auto quoted = [](bool more, const std::string& line) {
      return more ? "'" + line + "'" : std::string("nothing more");
    };
    return "in line " + std::to_string(i) + " of their plans " + a + " has " + quoted(more_a, x) +
           " and " + b + " has " + quoted(more_b, y);
  }
}

}  // namespace

std::string planned_collectives(const Trace& trace) {
  std::ostringstream text;
  print_calls(text, trace.events, Peers::by_place);
  return text.str();
}

std::string planned_collectives(const Job& job) {
  std::ostringstream text;
  for (std::size_t i = 0; i < job.scripts.size(); ++i) {
    const Script& script = job.scripts[i];
    text << "ranks";
    print_ranks(text, job, static_cast<int>(i));
    text << '\n';
    print_script(text, script);
  }
  return text.str();
}

void require_part(const Job& job, int rank, const Script& rehearsed) {
  const int number = job.script_of_rank[static_cast<std::size_t>(rank)];
  std::ostringstream mine, given;
  print_script(mine, rehearsed);
  print_script(given, job.scripts[static_cast<std::size_t>(number)]);
  const std::string difference =
      first_difference("its rehearsal", mine.str(), "the job", given.str());
  require(difference.empty(), "rank ", rank, " does not do its part: ", difference);
}

void require_same_collectives(const Group& world, const std::string& plan) {
  const std::string hash = checksum_text(checksum(std::as_bytes(std::span(plan))));
  const std::vector<std::string> hashes = gather_texts(world, hash, "plan/hashes");
  if (std::ranges::count(hashes, hashes[0]) == world.size()) return;
  const std::string rank = "rank " + std::to_string(world.rank());
  std::string mine = first_difference("rank 0", text_of_rank_0(world, plan), rank, plan);
  if (!mine.empty())
    mine = "ranks 0 and " + std::to_string(world.rank()) + " would wait for each other: " + mine;
  const std::vector<std::string> found = gather_texts(world, mine, "plan/differences");
  raise(*std::ranges::find_if(found, [](const std::string& text) { return !text.empty(); }));
}

}  // namespace fusor
