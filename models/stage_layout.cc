#include "models/stage_layout.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "parallel/parameter_store.h"
#include "runtime/trace.h"

namespace fusor {

std::vector<int> StageLayout::parts_of(int stage) const {
  const auto s = static_cast<std::size_t>(stage);
  std::vector<int> parts(static_cast<std::size_t>(split.begins[s + 1] - split.begins[s]));
  std::iota(parts.begin(), parts.end(), split.begins[s]);
  return parts;
}

StageLayout lay_out(const Model& model, const StageSplit& split, ScheduleKind kind, int ranks,
                    int micros) {
  std::vector<std::vector<int>> inputs;
  for (const Part& part : model.parts()) inputs.push_back(part.inputs);
  StageLayout layout{split, stage_graph(split, inputs), {}, {}, {}};
  layout.schedule = make_schedule(kind, layout.graph, ranks, micros);
  layout.actions = pipeline_actions(layout.schedule, layout.graph);
  layout.forward = pipeline_actions(make_schedule(ScheduleKind::gpipe, layout.graph,
                                                  layout.schedule.rank_of, ranks, /*micros=*/1),
                                    layout.graph);
  for (std::vector<Action>& actions : layout.forward)
    std::erase_if(actions, [](const Action& a) { return a.phase != Phase::forward; });
  return layout;
}

std::vector<double> part_costs(Model& model, const BatchShape& shape, DType dtype) {
  constexpr double kOperationsPerByte = 50;
  Trace trace;
  std::vector<double> costs;
  {
    const Device meta = Device::meta(trace);
    const auto weights = ParameterStore::frozen(parameters_of(model), dtype, meta);
    const Batch batch = Batch::empty(shape, meta);
    std::map<int, Var> values;
    const std::vector<Part> parts = model.parts();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::vector<Var> inputs;
      for (const int input : parts[i].inputs) inputs.push_back(values[input]);
      trace.events.clear();
      values[static_cast<int>(i)] = model.run(static_cast<int>(i), inputs, batch, {});
      double cost = 0;
      for (const TraceEvent& event : trace.events)
        if (const auto* op = std::get_if<OpEvent>(&event))
          cost += std::max(op->cost.flops, kOperationsPerByte * op->cost.bytes);
      costs.push_back(cost);
    }
    for (Parameter* p : parameters_of(model)) p->var = {};  // its device ends here
  }
  return costs;
}

}  // namespace fusor
