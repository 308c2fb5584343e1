#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "parallel/schedule.h"

namespace fusor {

// Which parts of a model make which pipeline stage: consecutive ones, in the model's order.
struct StageSplit {
  std::vector<int> begins;  // [stages + 1]: stage s is the parts [begins[s], begins[s + 1])

  int num_stages() const { return static_cast<int>(begins.size()) - 1; }
  int num_parts() const { return begins.back(); }
  int stage_of(int part) const;
  bool operator==(const StageSplit&) const = default;
};

// The split whose most expensive stage is cheapest (of several such, the one with the smallest sum
// of squared costs: the most even). costs: [parts], each >= 0, in any unit. Exact; takes
// stages x parts^2. Throws Error where there are fewer parts than stages.
StageSplit split_by_cost(const std::vector<double>& costs, int stages);

// A split by hand: "embed..block.3 | block.4..head", or the parts of each stage, "5,6". names:
// [parts]. Throws Error that names the part which is unknown, left out or out of place.
StageSplit parse_split(std::string_view text, const std::vector<std::string>& names, int stages);
std::string to_text(const StageSplit&, const std::vector<std::string>& names);

// A stage reads the stages that hold what its parts read. inputs: [parts]; the parts before it that
// a part reads.
StageGraph stage_graph(const StageSplit&, const std::vector<std::vector<int>>& inputs);

// The parts of stage `from` that parts of stage `to` read, ascending: what travels on that edge.
std::vector<int> parts_between(const StageSplit&, const std::vector<std::vector<int>>& inputs,
                               int from, int to);

}  // namespace fusor
