// Valid jobs pass the verifier; jobs that are broken in one spot do not, and the message names it.
#include "parallel/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <regex>

#include "parallel/comm_plan.h"
#include "parallel/job_index.h"
#include "runtime/error.h"
#include "runtime/threads_transport.h"
#include "runtime/world.h"
#include "tests/jobs.h"

namespace fusor::testing {
namespace {

using ::testing::HasSubstr;

std::string failure_of(const Job& job, std::size_t limit = 0) {
  try {
    verify(job, limit);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

const std::vector<std::pair<const char*, Job>>& base_jobs() {
  static const std::vector<std::pair<const char*, Job>> jobs = {
      {"dp 4", data_parallel_job(4)}, {"tp 2, dp 2", tensor_parallel_job(2, 2)},
      {"pp 4", pipeline_job(4, 6)},   {"pp 2, dp 2, tp 2", pipeline_job(2, 4, 2, 2)},
      {"cp 4", ring_job(4)},          {"zero, dp 4", sharded_job(4)},
  };
  return jobs;
}

TEST(Verifier, RefusesNoValidJob) {
  for (int n = 1; n <= 8; ++n) {
    EXPECT_EQ(failure_of(data_parallel_job(n)), "") << n;
    EXPECT_EQ(failure_of(ring_job(n)), "") << n;
    if (n == 1) continue;
    EXPECT_EQ(failure_of(tensor_parallel_job(n, 8 / n)), "") << n;
    EXPECT_EQ(failure_of(sharded_job(n)), "") << n;
  }
  for (int pp = 1; pp <= 5; ++pp)
    for (int micros = 1; micros <= 6; ++micros)
      for (int dp = 1; dp <= 2; ++dp)
        for (int tp = 1; tp <= 2; ++tp)
          EXPECT_EQ(failure_of(pipeline_job(pp, micros, dp, tp)), "")
              << pp << ' ' << micros << ' ' << dp << ' ' << tp;
}

TEST(Verifier, TellsThePeakAndRefusesWhatDoesNotFit) {
  const Verified found = verify(pipeline_job(4, 6, 2));
  EXPECT_EQ(found.ranks, 8);
  EXPECT_EQ(found.colors, 4);
  // Stage 1 in F of the last micro-batch: its weights, x and y of two micro-batches and x of this
  // one, dx of the three that have been sent, and a layer's matter.
  EXPECT_EQ(found.fullest, 2);
  EXPECT_EQ(found.peak, (1 + 2 * 2 + 1 + 3 + 2) * 64 * sizeof(float));
  EXPECT_EQ(failure_of(pipeline_job(4, 6, 2), found.peak), "");
  EXPECT_THAT(failure_of(pipeline_job(4, 6, 2), found.peak - 1),
              HasSubstr("rank 2 (and 1 like it) needs 2816 bytes (2.75 KiB), "
                        "fullest in F of micro-batch 5"));
  Job planned = pipeline_job(4, 6);
  planned.scripts[2].arena = 1000;
  EXPECT_THAT(failure_of(planned), HasSubstr("rank 2 has "));
  EXPECT_THAT(failure_of(planned), HasSubstr("more than its plan of 1000"));
}

TEST(Verifier, PrintsTheCycle) {
  // Ranks 1 and 2 wait for their gradients before they give their tp partner what it waits for.
  Job job = tensor_parallel_job(2, 2);
  for (const std::size_t rank : {1, 2}) {
    std::vector<TraceEvent>& events = job.scripts[rank].programs[0].events;
    const auto call = [&](const char* name) {
      return std::ranges::find_if(events, [name](const TraceEvent& e) {
        const auto* c = std::get_if<CommEvent>(&e);
        return c && c->name == name;
      });
    };
    const auto gradients = call("gradients"), sum = call("cross_entropy/sum");
    std::swap(*gradients, *sum);
    std::swap(*(gradients + 1), *(sum + 1));  // their waits
  }
  EXPECT_EQ(failure_of(job),
            "ranks wait for each other in a cycle: rank 0 (and 1 like it) waits in all_reduce "
            "\"cross_entropy/sum\" of 16 f32 over tp for rank 1; rank 1 (and 1 like it) waits in "
            "all_reduce \"gradients\" of 64 f32 over data for rank 3; rank 3 (and 1 like it) waits "
            "in all_reduce \"cross_entropy/sum\" of 16 f32 over tp for rank 2; rank 2 (and 1 like "
            "it) waits in all_reduce \"gradients\" of 64 f32 over data for rank 0");
}

TEST(Verifier, RanksCompareWhatTheyPlannedForAll) {
  const std::string plan = planned_collectives(pipeline_job(2, 2));
  EXPECT_THAT(plan, HasSubstr("ranks 0\n"));
  EXPECT_THAT(plan, HasSubstr("program send.F\n1 send pp f32 64 activation peer 1\n"));
  EXPECT_THAT(plan, HasSubstr("run in F of micro-batch 1\n"));
  EXPECT_THAT(planned_collectives(pipeline_job(2, 2, 2)), HasSubstr("ranks 3\n"));
  run_ranks(3, [&](World& world) { require_same_collectives(world.group(), plan); });
  try {
    run_ranks(3, [&](World& world) {
      require_same_collectives(world.group(),
                               planned_collectives(pipeline_job(2, world.rank() == 2 ? 1 : 2)));
    });
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("ranks 0 and 2 would wait for each other"));
    EXPECT_THAT(e.what(), HasSubstr("rank 0 has 'run in F of micro-batch 1' and rank 2 has "
                                    "'run in receive.B of micro-batch 0'"));
  }
}

// A way to break a job on one rank. What the message must name is returned; nothing where the job
// has no such spot.
using Random = std::mt19937;
using Break = std::function<std::optional<std::string>(Script&, Random&)>;

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
  return [=](Script& script, Random& random) -> std::optional<std::string> {
    const std::vector<Spot> spots = calls(script, wanted);
    if (spots.empty()) return {};
    CommEvent& call = spots[draw(spots.size(), random)].call();
    const std::string name = call.name;
    change(call);
    return name;
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
  return [kind](Script& script, Random& random) -> std::optional<std::string> {
    const std::vector<Spot> spots = calls(script, [&](const auto& c) { return c.kind == kind; });
    if (spots.empty()) return {};
    const Spot spot = spots[draw(spots.size(), random)];
    const CommEvent call = spot.call();
    spot.events->erase(spot.events->begin() + static_cast<std::ptrdiff_t>(spot.at));
    drop_wait(script, call.id);
    return call.name;
  };
}

// Two collectives of one communicator that are not the same.
std::optional<std::string> swap_two(Script& script, Random& random) {
  const std::vector<Spot> spots =
      calls(script, [](const CommEvent& c) { return c.kind < CommKind::send; });
  for (int trial = 0; trial < 50 && spots.size() > 1; ++trial) {
    const Spot a = spots[draw(spots.size(), random)], b = spots[draw(spots.size(), random)];
    CommEvent &x = a.call(), &y = b.call();
    if (a.events != b.events || x.group != y.group || x.scope + x.name == y.scope + y.name)
      continue;
    std::swap(x, y);
    std::swap(x.id, y.id);
    return a.at < b.at ? y.name : x.name;  // the first that differs was the earlier one's
  }
  return {};
}

std::optional<std::string> forget_a_wait(Script& script, Random& random) {
  const std::vector<Spot> spots = calls(script, any);
  if (spots.empty()) return {};
  const CommEvent call = spots[draw(spots.size(), random)].call();
  drop_wait(script, call.id);
  return call.name;
}

bool is_release(const TraceEvent& event, std::uint64_t id) {
  const auto* release = std::get_if<ReleaseEvent>(&event);
  return release && release->id == id;
}

// Frees an operand before its call, right after it, or before it is waited for.
std::optional<std::string> free_early(Script& script, Random& random) {
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
      return call.name.substr(0, call.name.find_last_not_of("0123456789") + 1);
    }
  return {};
}

// One entry of a schedule; the first is what stands outside programs.
std::optional<std::size_t> an_entry(const Script& script, Random& random) {
  if (script.runs.size() == 1) return {};
  return 1 + draw(script.runs.size() - 1, random);
}

// What tells of an entry: its micro-batch, or the update's calls.
std::string name_of_entry(const ProgramRun& run) {
  return run.micro < 0 ? "grad" : "micro-batch " + std::to_string(run.micro);
}

std::optional<std::string> remove_entry(Script& script, Random& random) {
  const auto at = an_entry(script, random);
  if (!at) return {};
  const ProgramRun run = script.runs[*at];
  script.runs.erase(script.runs.begin() + static_cast<std::ptrdiff_t>(*at));
  return name_of_entry(run);
}

std::optional<std::string> duplicate_entry(Script& script, Random& random) {
  const auto at = an_entry(script, random);
  if (!at) return {};
  const ProgramRun run = script.runs[*at];
  script.runs.insert(script.runs.begin() + static_cast<std::ptrdiff_t>(*at), run);
  return name_of_entry(run);
}

// A backward pass frees what its forward pass has not made yet.
std::optional<std::string> backward_first(Script& script, Random& random) {
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
  return "micro-batch " + std::to_string(micro);
}

bool names_rank(const std::string& text, int rank) {
  const std::string number = std::to_string(rank) + "\\b";
  return std::regex_search(text, std::regex("ranks? (\\d+ and )?" + number));
}

TEST(Verifier, CatchesEveryBreakageAndNamesTheSpot) {
  const std::vector<std::pair<const char*, Break>> breaks = {
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
  Random random(1);
  int broken = 0;
  for (const auto& [what, apply] : breaks)
    for (const auto& [name, base] : base_jobs())
      for (int trial = 0; trial < 8; ++trial) {
        Job job = base;
        const auto rank = draw(job.scripts.size(), random);
        const std::optional<std::string> spot = apply(job.scripts[rank], random);
        if (!spot) continue;
        ++broken;
        const std::string text = failure_of(job);
        SCOPED_TRACE(std::string(what) + " on rank " + std::to_string(rank) + " of " + name);
        EXPECT_THAT(text, HasSubstr(*spot));
        EXPECT_TRUE(names_rank(text, static_cast<int>(rank))) << text;
      }
  EXPECT_GE(broken, 200);
  RecordProperty("broken", broken);
}

}  // namespace
}  // namespace fusor::testing
