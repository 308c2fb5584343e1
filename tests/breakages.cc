#include "tests/breakages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <regex>

#include "parallel/job_index.h"
#include "parallel/verifier.h"
#include "runtime/error.h"

namespace fusor::testing {
namespace {

using ::testing::HasSubstr;

// A way to break a job on one rank. Returns what the message must name, one of these; nothing where
// the job has no such spot.
using Random = std::mt19937;
using Spots = std::vector<std::string>;
using Break = std::function<Spots(Script&, Random&)>;

std::size_t draw(std::size_t n, Random& random) { return random() % n; }

struct Spot {
  std::vector<TraceEvent>* events;
  std::size_t at;

  CommEvent& call() const { return std::get<CommEvent>((*events)[at]); }
};

// The calls of a script for which `wanted` holds.
std::vector<Spot> calls(Script& script, const std::function<bool(const CommEvent&)>& wanted) {
  std::vector<Spot> spots;
  for (TraceProgram& program : script.programs)
    for (std::size_t i = 0; i < program.events.size(); ++i)
      if (const auto* c = std::get_if<CommEvent>(&program.events[i]); c && wanted(*c))
        spots.push_back({&program.events, i});
  return spots;
}

// Applies `change` to one of the calls for which `wanted` holds.
Break change_a_call(std::function<bool(const CommEvent&)> wanted,
                    std::function<void(CommEvent&)> change) {
  return [=](Script& script, Random& random) -> Spots {
    const std::vector<Spot> spots = calls(script, wanted);
    if (spots.empty()) return {};
    CommEvent& call = spots[draw(spots.size(), random)].call();
    const std::string name = call.name;
    change(call);
    return {name};
  };
}

bool any(const CommEvent&) { return true; }

void drop_wait(Script& script, std::uint64_t id) {
  for (TraceProgram& program : script.programs)
    std::erase_if(program.events, [id](const TraceEvent& e) {
      const auto* wait = std::get_if<WaitEvent>(&e);
      return wait && wait->id == id;
    });
}

Break drop(CommKind kind) {
  return [kind](Script& script, Random& random) -> Spots {
    const std::vector<Spot> spots = calls(script, [&](const auto& c) { return c.kind == kind; });
    if (spots.empty()) return {};
    const Spot spot = spots[draw(spots.size(), random)];
    const CommEvent call = spot.call();
    spot.events->erase(spot.events->begin() + static_cast<std::ptrdiff_t>(spot.at));
    drop_wait(script, call.id);
    return {call.name};
  };
}

// Two collectives of one communicator that are not the same.
Spots swap_two(Script& script, Random& random) {
  const std::vector<Spot> spots =
      calls(script, [](const CommEvent& c) { return c.kind < CommKind::send; });
  for (int trial = 0; trial < 50 && spots.size() > 1; ++trial) {
    const Spot a = spots[draw(spots.size(), random)], b = spots[draw(spots.size(), random)];
    CommEvent &x = a.call(), &y = b.call();
    if (a.events != b.events || x.group != y.group || x.scope + x.name == y.scope + y.name)
      continue;
    std::swap(x, y);
    std::swap(x.id, y.id);
    return {a.at < b.at ? y.name : x.name};  // the first that differs was the earlier one's
  }
  return {};
}

Spots forget_a_wait(Script& script, Random& random) {
  const std::vector<Spot> spots = calls(script, any);
  if (spots.empty()) return {};
  const CommEvent call = spots[draw(spots.size(), random)].call();
  drop_wait(script, call.id);
  return {call.name};
}

bool is_release(const TraceEvent& event, std::uint64_t id) {
  const auto* release = std::get_if<ReleaseEvent>(&event);
  return release && release->id == id;
}

// Frees an operand before its call, right after it, or before it is waited for.
Spots free_early(Script& script, Random& random) {
  const auto freed = [&](const CommEvent& call) {
    return std::ranges::any_of(script.programs, [&](const TraceProgram& program) {
      return std::ranges::any_of(program.events,
                                 [&](const auto& e) { return is_release(e, call.out); });
    });
  };
  const std::vector<Spot> spots = calls(script, freed);
  if (spots.empty()) return {};
  const Spot spot = spots[draw(spots.size(), random)];
  const CommEvent call = spot.call();
  for (TraceProgram& program : script.programs)
    std::erase_if(program.events, [&](const auto& e) { return is_release(e, call.out); });
  const std::size_t when = draw(3, random);
  for (TraceProgram& program : script.programs)
    for (std::size_t i = 0; i < program.events.size(); ++i) {
      const auto* begun = std::get_if<CommEvent>(&program.events[i]);
      const auto* wait = std::get_if<WaitEvent>(&program.events[i]);
      if (when < 2 ? !begun || begun->id != call.id : !wait || wait->id != call.id) continue;
      const auto place = program.events.begin() + static_cast<std::ptrdiff_t>(i);
      program.events.insert(when == 1 ? place + 1 : place, ReleaseEvent{call.out});
      // Of several buckets in one buffer, another may be named.
      return {call.name.substr(0, call.name.find_last_not_of("0123456789") + 1)};
    }
  return {};
}

// One entry of a schedule: a program of a micro-batch, or the update.
std::optional<std::size_t> an_entry(const Script& script, Random& random) {
  std::vector<std::size_t> entries;
  for (std::size_t i = 0; i < script.runs.size(); ++i) {
    const auto& [program, micro] = script.runs[i];
    if (micro >= 0 || script.programs[static_cast<std::size_t>(program)].name == "update")
      entries.push_back(i);
  }
  if (entries.empty()) return {};
  return entries[draw(entries.size(), random)];
}

// What tells of an entry: its program or its micro-batch.
Spots names_of_entry(const Script& script, const ProgramRun& run) {
  Spots names = {script.programs[static_cast<std::size_t>(run.program)].name};
  if (run.micro >= 0) names.push_back("micro-batch " + std::to_string(run.micro));
  return names;
}

Spots remove_entry(Script& script, Random& random) {
  const auto at = an_entry(script, random);
  if (!at) return {};
  const ProgramRun run = script.runs[*at];
  script.runs.erase(script.runs.begin() + static_cast<std::ptrdiff_t>(*at));
  return names_of_entry(script, run);
}

Spots duplicate_entry(Script& script, Random& random) {
  const auto at = an_entry(script, random);
  if (!at) return {};
  const ProgramRun run = script.runs[*at];
  script.runs.insert(script.runs.begin() + static_cast<std::ptrdiff_t>(*at), run);
  return names_of_entry(script, run);
}

// A backward pass frees what its forward pass has not made yet.
Spots backward_first(Script& script, Random& random) {
  const auto first = an_entry(script, random);
  if (!first) return {};
  const int micro = script.runs[*first].micro;
  const auto find = [&](const char* name) {
    return std::ranges::find_if(script.runs, [&](const ProgramRun& run) {
      return run.micro == micro &&
             script.programs[static_cast<std::size_t>(run.program)].name == name;
    });
  };
  const auto f = find("F"), b = find("B");
  if (f == script.runs.end()) return {};
  std::swap(*f, *b);
  return {"micro-batch " + std::to_string(micro)};
}

const std::vector<std::pair<const char*, Break>>& all_breaks() {
  static const std::vector<std::pair<const char*, Break>> all = {
      {"dropped receive", drop(CommKind::recv)},
      {"dropped send", drop(CommKind::send)},
      {"dropped all_reduce", drop(CommKind::all_reduce)},
      {"dropped all_gather", drop(CommKind::all_gather)},
      {"dropped reduce_scatter", drop(CommKind::reduce_scatter)},
      {"size", change_a_call(any, [](CommEvent& c) { c.count += 1; })},
      {"dtype", change_a_call(any, [](CommEvent& c) { c.dtype = DType::bf16; })},
      {"reduction", change_a_call([](const auto& c) { return c.kind == CommKind::all_reduce; },
                                  [](CommEvent& c) { c.op = ReduceOp::min; })},
      {"root", change_a_call([](const auto& c) { return c.kind == CommKind::broadcast; },
                             [](CommEvent& c) { c.peer = 1; })},
      {"peer", change_a_call([](const auto& c) { return is_transfer(c.kind) && c.group_size > 2; },
                             [](CommEvent& c) { c.peer = (c.peer + 1) % c.group_size; })},
      {"swapped", swap_two},
      {"not waited for", forget_a_wait},
      {"freed early", free_early},
      {"entry removed", remove_entry},
      {"entry duplicated", duplicate_entry},
      {"backward first", backward_first},
  };
  return all;
}

bool names_rank(const std::string& text, int rank) {
  const std::string number = std::to_string(rank) + "\\b";
  return std::regex_search(text, std::regex("ranks? (\\d+ and )?" + number));
}

}  // namespace

std::string failure_of(const Job& job, std::size_t limit) {
  try {
    verify(job, limit);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

int expect_breakages_caught(const std::string& name, const Job& base, int trials) {
  Random random(1);
  int broken = 0;
  for (const auto& [what, apply] : all_breaks())
    for (int trial = 0; trial < trials; ++trial) {
      Job job = base;
      const auto rank = draw(job.scripts.size(), random);
      const Spots spots = apply(job.scripts[rank], random);
      if (spots.empty()) continue;
      ++broken;
      const std::string text = failure_of(job);
      SCOPED_TRACE(std::string(what) + " on rank " + std::to_string(rank) + " of " + name);
      EXPECT_TRUE(std::ranges::any_of(
          spots, [&](const std::string& spot) { return text.find(spot) != text.npos; }))
          << "not \"" << spots[0] << "\" but: " << text;
      EXPECT_TRUE(names_rank(text, static_cast<int>(rank))) << text;
    }
  return broken;
}

}  // namespace fusor::testing
