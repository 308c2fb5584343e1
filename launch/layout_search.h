#pragma once
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "launch/config.h"
#include "parallel/simulator.h"

namespace fusor {

// A way to lay a recipe out on a number of ranks.
struct Layout {
  ParallelConfig parallel;
  std::int64_t micro_batch = 0;
  std::size_t peak = 0;              // bytes of the fullest rank
  std::optional<StepReport> report;  // none where it does not fit
};

// "tp 8 cp 1 pp 8 dp 16, micro 1, 1f1b, recompute full, zero 1".
std::string name_of(const Layout&);

// Simulates layouts of `config` on `ranks` ranks of the cluster, the global batch kept: every split
// into dp, tp, pp, cp, ep, with sizes of micro-batch and ways to recompute, under 1F1B and zero 1;
// and of the best of these the other schedules and stages of zero. tp stays inside a node. Returns
// those that fit, fastest first, and after them those that do not, smallest first. `progress` is
// told after each layout how many have been done. Throws Error when none can be built.
std::vector<Layout> search_layouts(const Config& config, std::int64_t ranks, const CostModel& model,
                                   const std::function<void(std::size_t)>& progress = {});

// A table of the first `rows`, and what each loses against the first: to which of operators,
// bubble, exposed communication and so on, or how much memory it lacks.
void print_layouts(std::ostream&, const std::vector<Layout>&, std::size_t rows, double memory);

}  // namespace fusor
