#include "launch/stages.h"

#include <iomanip>
#include <numeric>
#include <sstream>

#include "parallel/schedule_timeline.h"

namespace fusor {
namespace {

std::vector<std::string> part_names(const Model& model) {
  std::vector<std::string> names;
  for (const Part& part : model.parts()) names.push_back(part.name);
  return names;
}

void require_part_for_each_stage(const ParallelConfig& p, std::int64_t parts) {
  const auto nearest = [&](const char* key, std::int64_t value) {
    return value > 0 ? std::string(key) + " " + std::to_string(value) : "";
  };
  const std::string ranks = nearest("parallel.pp", parts / p.stages),
                    stages = p.stages > 1 ? nearest("parallel.stages", parts / p.pp) : "";
  require(p.pp * p.stages <= parts, "parallel.pp ", p.pp, " x parallel.stages ", p.stages, " is ",
          p.pp * p.stages, " stages, but the model has ", parts,
          " parts (the embedding, each block, the head), the nearest that works: ", ranks,
          ranks.empty() || stages.empty() ? "" : " or ", stages);
}

StageSplit split_of(const Task& task, Model& model, const Config& config, const RunSize& size) {
  const std::vector<std::string> names = part_names(model);
  const ParallelConfig& p = config.parallel;
  require_part_for_each_stage(p, std::ssize(names));
  const auto stages = static_cast<int>(p.pp * p.stages);
  const auto by_cost = [&]() -> StageSplit {
    if (stages == 1) return {{0, static_cast<int>(names.size())}};
    const Inputs inputs = task.inputs(size, {});
    return split_by_cost(part_costs(model, inputs.shapes.front(), config.train.dtype), stages);
  };
  if (p.split.empty()) return by_cost();
  try {
    return parse_split(p.split, names, stages);
  } catch (const Error& error) {
    raise("parallel.split (by cost it would be \"" + to_text(by_cost(), names) +
          "\"): " + error.what());
  }
}

std::string percent(double share) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << 100 * share << " %";
  return text.str();
}

}  // namespace

StageLayout stage_layout(const Task& task, const Config& config, const RunSize& size) {
  const std::unique_ptr<Model> model = task.model();  // of one rank, so that its calls reach nobody
  return lay_out(*model, split_of(task, *model, config, size), config.parallel.schedule,
                 static_cast<int>(config.parallel.pp), static_cast<int>(size.accumulation));
}

std::vector<std::string> describe_stages(const Task& task, const Config& config,
                                         const RunSize& size) {
  if (config.parallel.pp * config.parallel.stages == 1) return {};
  const StageLayout layout = stage_layout(task, config, size);
  const Schedule& schedule = layout.schedule;
  const Timeline times = timeline_of(schedule, layout.graph, StageCosts::unit(schedule));
  const double bubble =
      std::reduce(times.bubble.begin(), times.bubble.end()) / static_cast<double>(size.mesh.pp);
  std::vector<std::string> lines{"schedule " + std::string(name_of(config.parallel.schedule)) +
                                 " of " + std::to_string(schedule.micros) +
                                 " micro-batches: bubble " + percent(bubble) +
                                 " if all stages take as long"};
  const std::vector<std::string> names = part_names(*task.model());
  for (int stage = 0; stage < schedule.num_stages(); ++stage) {
    const auto s = static_cast<std::size_t>(stage);
    const auto first = static_cast<std::size_t>(layout.split.begins[s]),
               last = static_cast<std::size_t>(layout.split.begins[s + 1]) - 1;
    lines.push_back("stage " + std::to_string(stage) + " on pp " +
                    std::to_string(schedule.rank_of[s]) + ": " + names[first] +
                    (last > first ? ".." + names[last] : "") + ", at most " +
                    std::to_string(times.held[s]) + " in flight");
  }
  return lines;
}

}  // namespace fusor
