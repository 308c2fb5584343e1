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

PlannedJob plan_job(const Config& config, const RunSize& size, int all_of) {
  const MeshShape& mesh = size.mesh;
  PlannedJob planned;
  planned.job.communicators = planned.step.communicators = communicators_of(mesh);
  for (int rank = 0; rank < mesh.size(); ++rank) {
    const int first = rank_at(mesh, {.pp = place_of(mesh, rank).pp});
    if (mesh.size() > all_of && rank > first) {
      const int script = planned.job.script_of_rank[static_cast<std::size_t>(first)];
      planned.job.script_of_rank.push_back(script);
      continue;
    }
    planned.job.script_of_rank.push_back(static_cast<int>(planned.job.scripts.size()));
    Rehearsal rehearsal = rehearse(config, size, rank);
    Script script = script_of(rehearsal.trace);
    script.arena = rehearsal.memory.bytes;
    planned.step.scripts.push_back(step_of(script));
    planned.job.scripts.push_back(std::move(script));
    if (rank > 0 && rehearsal.memory.bytes <= planned.fullest.memory.bytes) continue;
    planned.fullest = std::move(rehearsal);
    planned.rank = rank;
  }
  planned.step.script_of_rank = planned.job.script_of_rank;
  return planned;
}

StepWork work_of(const Config& config, const RunSize& size) {
  const auto tokens = static_cast<double>(size.tokens_per_step());
  return {.tokens = tokens, .flops = tokens * flops_per_token(config.model, size.seq_len)};
}

}  // namespace fusor
