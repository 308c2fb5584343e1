#include "launch/planned_job.h"

#include <algorithm>

#include "launch/trainer.h"

namespace fusor {
namespace {

// What lies between the set-up, which no program names, and what is not training.
Script step_of(Script script) {
  const auto name = [&](const ProgramRun& run) -> const std::string& {
    return script.programs[static_cast<std::size_t>(run.program)].name;
  };
  const auto begin = std::ranges::find_if(script.runs, [&](auto& r) { return !name(r).empty(); });
  const auto end = std::find_if(begin, script.runs.end(), [&](const ProgramRun& r) {
    return name(r) == "eval" || name(r).starts_with("sample");
  });
  script.runs = {begin, end};
  return script;
}

}  // namespace

PlannedJob plan_job(const Config& config, const RunSize& size) {
  PlannedJob planned;
  planned.step.communicators = communicators_of(size.mesh);
  for (int pp = 0; pp < size.mesh.pp; ++pp) {
    const int rank = rank_at(size.mesh, {.pp = pp});
    Rehearsal rehearsal = rehearse(config, size, rank);
    Script script = script_of(rehearsal.trace);
    script.arena = rehearsal.memory.bytes;
    planned.step.scripts.push_back(step_of(std::move(script)));
    if (pp > 0 && rehearsal.memory.bytes <= planned.fullest.memory.bytes) continue;
    planned.fullest = std::move(rehearsal);
    planned.rank = rank;
  }
  for (int rank = 0; rank < size.mesh.size(); ++rank)
    planned.step.script_of_rank.push_back(place_of(size.mesh, rank).pp);
  return planned;
}

StepWork work_of(const Config& config, const RunSize& size) {
  const auto tokens = static_cast<double>(size.tokens_per_step());
  return {.tokens = tokens, .flops = tokens * flops_per_token(config.model, size.seq_len)};
}

}  // namespace fusor
