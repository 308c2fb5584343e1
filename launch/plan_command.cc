#include <omp.h>

#include <iostream>

#include "launch/cluster_file.h"
#include "launch/commands.h"
#include "launch/layout_search.h"
#include "launch/placement.h"
#include "launch/planned_job.h"
#include "launch/recipe.h"
#include "launch/stages.h"
#include "launch/timeline.h"
#include "launch/trainer.h"
#include "parallel/comm_plan.h"
#include "parallel/verifier.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

void print_run(const Config& config, const RunSize& size) {
  for (const std::string& line : formulas(size)) std::cout << line << '\n';
  for (const std::string& line : describe_stages(*make_task(config), config, size))
    std::cout << line << '\n';
  std::cout << num_parameters(*make_task(config)) << " parameters, " << config.train.dtype
            << "\n\n";
}

void plan_on_this_machine(const Config& config, const RunSize& size, const Rehearsal& r) {
  const MachineRates rates = measure_machine(config.train.dtype);
  const double flops = make_task(config)->flops_per_step(size) / size.mesh.size();
  std::cout << "step at least " << estimate_step_seconds(r.trace, rates)
            << " s on ranks like this process, of " << omp_get_max_threads()
            << " threads: " << rates.flops_per_second / 1e9 << " GFLOP/s, "
            << rates.bytes_per_second / 1e9 << " GB/s; waiting for others not counted\n"
            << flops / 1e9 << " GFLOP per rank and step by 6 N + 6 L C T per token\n";
}

// The job of all ranks, verified, and its step played on the cluster.
void plan_on_cluster(const Config& config, const RunSize& size, const CostModel& model,
                     const std::string& trace) {
  constexpr int kEveryRank = 32;
  const PlannedJob planned = plan_job(config, size, kEveryRank);
  const Verified verified = verify(planned.job);
  const std::size_t peak = planned.fullest.memory.bytes;
  const auto memory = static_cast<std::size_t>(model.cluster().memory);
  ClusterClock clock(model);
  const Played played = play(planned.step, &clock, {.timeline = !trace.empty()});
  std::cout << "rank " << planned.rank << ", the fullest:\n"
            << planned.fullest.ledger << '\n'
            << (peak <= memory ? "fits: " : "does not fit: ") << readable_bytes(peak) << " of the "
            << readable_bytes(memory) << " of a rank of " << model.cluster().name << '\n'
            << verified.ranks << " ranks, " << verified.colors
            << " that differ: every call meets its partners, none waits for ever, nothing is freed "
               "too early\n\n"
            << report(played, work_of(config, size), model.peak() * planned.step.size());
  if (trace.empty()) return;
  write_timeline(trace, planned.step, played);
  std::cout << "timeline: " << trace << ", for ui.perfetto.dev\n";
}

void plan_search(const Config& config, std::int64_t ranks, const CostModel& model) {
  constexpr std::size_t kRows = 20;
  const std::vector<Layout> layouts = search_layouts(config, ranks, model, [](std::size_t done) {
    std::cerr << '\r' << done << " layouts " << std::flush;
  });
  std::cerr << '\n';
  print_layouts(std::cout, layouts, kRows, model.cluster().memory);
}

// Of the layout that the recipe names, or one rank.
std::int64_t ranks_of(const ParallelConfig& p) {
  return std::max<std::int64_t>(p.dp, 1) * p.tp * p.pp * p.cp;
}

// Of a rank, or where it is -1, of the fullest, which it then is.
Rehearsal rehearse_rank(const Config& config, const RunSize& size, int& rank) {
  if (rank >= 0) return rehearse(config, size, rank);
  PlannedJob planned = plan_job(config, size);
  rank = planned.rank;
  return std::move(planned.fullest);
}

struct Options {
  std::int64_t ranks = 0;
  int rank = -1;  // -1: the fullest
  std::string cluster, trace;
};

po::options_description describe(Options& o) {
  po::options_description own("plan");
  own.add_options()("ranks,N", po::value(&o.ranks),
                    "ranks of the run (default: as parallel.* says)")(
      "rank", po::value(&o.rank), "whose plan (default: the fullest's)")(
      "collectives", "also list every collective of a step of that rank, in order")(
      "cluster", po::value(&o.cluster)->value_name("FILE"),
      "play the step of all ranks on this cluster: does it fit, how long does it take, and where "
      "does the time go")("trace", po::value(&o.trace)->value_name("FILE"),
                          "with --cluster: write that step as a timeline for Perfetto")(
      "search",
      "with --cluster: simulate other layouts of the same ranks, and rank those that fit");
  return own;
}

}  // namespace

int plan_command(const std::vector<std::string>& args) {
  Options o;
  // -np N, as mpirun spells it.
  std::vector<std::string> spelled = args;
  for (std::string& arg : spelled)
    if (arg == "-np") arg = "--ranks";
  const auto given = parse_recipe_arguments(
      "plan", "Rehearses a run on shapes alone: its memory, collectives and step time.", spelled,
      describe(o));
  if (!given) return 0;
  const Config config = placed(given->config, planned_kind(given->config.train.device));
  if (!given->options.contains("ranks")) o.ranks = ranks_of(config.parallel);
  require(o.ranks > 0 && o.ranks <= 1 << 20, "fusor plan: a run has 1 to 1048576 ranks, not ",
          o.ranks);
  require(o.rank >= -1 && o.rank < o.ranks, "fusor plan: there is no rank ", o.rank, " of ",
          o.ranks);
  const bool search = given->options.contains("search");
  require(!o.cluster.empty() || (!search && o.trace.empty()),
          "fusor plan: --search and --trace need --cluster FILE");
  if (config.parallel.threads > 0)
    omp_set_num_threads(static_cast<int>(config.parallel.threads));  // workspaces are per thread
  std::optional<CostModel> model;
  if (!o.cluster.empty()) model.emplace(read_cluster(o.cluster), config.train.dtype);
  if (search) return plan_search(config, o.ranks, *model), 0;
  const RunSize size = run_size(config, o.ranks);
  print_run(config, size);
  if (model) plan_on_cluster(config, size, *model, o.trace);
  if (model && !given->options.contains("collectives")) return 0;
  int rank = o.rank;
  const Rehearsal rehearsal = rehearse_rank(config, size, rank);
  if (!model) {
    if (o.ranks > 1) std::cout << "rank " << rank << (o.rank < 0 ? ", the fullest" : "") << ":\n";
    std::cout << rehearsal.ledger << '\n';
    plan_on_this_machine(config, size, rehearsal);
  }
  if (given->options.contains("collectives"))
    std::cout << '\n' << planned_collectives(rehearsal.trace);
  return 0;
}

}  // namespace fusor
