#include "launch/stages.h"

#include "models/gpt.h"

namespace fusor {
namespace {

StageSplit split_of(Model& model, const Config& config, const RunSize& size, int stages) {
  std::vector<std::string> names;
  for (const Part& part : model.parts()) names.push_back(part.name);
  const auto parts = static_cast<int>(names.size());
  const ParallelConfig& p = config.parallel;
  require(stages <= parts, "parallel.pp ", p.pp, " x parallel.stages ", stages / p.pp, " is ",
          stages, " stages, but the model has ", parts,
          " parts (the embedding, each block, the head): the most that works is parallel.pp ",
          parts / (stages / p.pp));
  if (!p.split.empty()) return parse_split(p.split, names, stages);
  if (stages == 1) return {{0, parts}};
  Gpt alone(config.model);  // of one rank, so that its calls reach nobody
  return split_by_cost(
      part_costs(alone, {{}, {}, size.micro_batch, size.seq_len}, config.train.dtype), stages);
}

}  // namespace

StageLayout stage_layout(Model& model, const Config& config, const RunSize& size) {
  const ParallelConfig& p = config.parallel;
  const auto stages = static_cast<int>(p.pp * p.stages);
  return lay_out(model, split_of(model, config, size, stages), p.schedule, static_cast<int>(p.pp),
                 static_cast<int>(size.accumulation));
}

}  // namespace fusor
