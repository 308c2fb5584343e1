#include "launch/planned_job.h"

#include <algorithm>
#include <numeric>

#include "launch/trainer.h"
#include "parallel/reduction_tree.h"

namespace fusor {
namespace {

// What lies between the set-up, which no program names, and what is not training.
Script step_of(Script script) {
  const auto name = [&](const ProgramRun& run) -> const std::string& {
    return script.programs[static_cast<std::size_t>(run.program)].name;
  };
  const auto begin = std::ranges::find_if(script.runs, [&](auto& r) { return !name(r).empty(); });
  const auto end = std::find_if(begin, script.runs.end(), [&](const ProgramRun& r) {
    return name(r).starts_with("eval") || name(r).starts_with("sample");
  });
  script.runs = {begin, end};
  return script;
}

// By pipeline place, the rank that stands for the others: exact sums may keep more partial sums on
// some ranks than on others.
std::vector<int> fullest_ranks(const Config& config, const RunSize& size) {
  const MeshShape& mesh = size.mesh;
  const std::int64_t micros = size.accumulation, copies = mesh.dp * mesh.cp;
  std::int64_t fullest = 0, most = 0;
  for (std::int64_t copy = 0; copy < copies && config.parallel.reduce == Reduce::exact; ++copy) {
    const LocalSums sums = plan_local_sums(copies * micros, copy * micros, micros);
    if (sums.num_buffers > most) most = sums.num_buffers, fullest = copy;
  }
  std::vector<int> ranks;
  for (int pp = 0; pp < mesh.pp; ++pp)
    ranks.push_back(rank_at(mesh, {.cp = static_cast<int>(fullest) / mesh.dp,
                                   .dp = static_cast<int>(fullest) % mesh.dp,
                                   .pp = pp}));
  return ranks;
}

}  // namespace

PlannedJob plan_job(const Task& task, const Config& config, const RunSize& size, int all_of) {
  const MeshShape& mesh = size.mesh;
  const bool all = mesh.size() <= all_of;
  PlannedJob planned;
  planned.job.communicators = planned.step.communicators = communicators_of(mesh);
  std::vector<int> ranks = fullest_ranks(config, size);
  if (all)
    ranks.resize(static_cast<std::size_t>(mesh.size())), std::iota(ranks.begin(), ranks.end(), 0);
  for (const int rank : ranks) {
    Rehearsal rehearsal = rehearse(task, config, size, rank);
    Script script = script_of(rehearsal.trace);
    script.arena = rehearsal.memory.bytes;
    planned.step.scripts.push_back(step_of(script));
    planned.job.scripts.push_back(std::move(script));
    if (rehearsal.memory.bytes <= planned.fullest.memory.bytes) continue;
    planned.fullest = std::move(rehearsal);
    planned.rank = rank;
  }
  for (int rank = 0; rank < mesh.size(); ++rank)
    planned.job.script_of_rank.push_back(all ? rank : place_of(mesh, rank).pp);
  planned.step.script_of_rank = planned.job.script_of_rank;
  return planned;
}

PlannedJob plan_job(const Config& config, const RunSize& size, int all_of) {
  return plan_job(*make_task(config), config, size, all_of);
}

StepWork work_of(const Config& config, const RunSize& size) {
  return {.tokens = static_cast<double>(size.tokens_per_step()),
          .flops = make_task(config)->flops_per_step(size)};
}

}  // namespace fusor
