#pragma once
#include <string>
#include <vector>

#include "models/model.h"
#include "parallel/pipeline_actions.h"
#include "parallel/schedule_builder.h"
#include "parallel/stage_split.h"

namespace fusor {

// How a model lies on the ranks of Mesh::pp, and what these do in a step.
struct StageLayout {
  StageSplit split;
  StageGraph graph;
  Schedule schedule;
  std::vector<std::vector<Action>> actions;  // by rank of pp
  std::vector<std::vector<Action>> forward;  // the same of an evaluation: F of one micro-batch

  std::vector<int> parts_of(int stage) const;
};

// `split` must be of this model. Throws Error where the schedule cannot take so many stages.
StageLayout lay_out(const Model& model, const StageSplit& split, ScheduleKind kind, int ranks,
                    int micros);

// The floating-point operations of each part's forward pass on a batch of this shape, or the bytes
// it moves where these take longer on machines that do 50 operations a byte: what stages are split
// by. Rehearsed with weights of `dtype`.
std::vector<double> part_costs(Model& model, const BatchShape& shape, DType dtype);

}  // namespace fusor
