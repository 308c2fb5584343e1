#include <omp.h>

#include <iostream>

#include "launch/commands.h"
#include "launch/recipe.h"
#include "launch/rehearsal.h"
#include "launch/trainer.h"
#include "parallel/comm_plan.h"

namespace fusor {
namespace {

void print_plan(const Config& config, const RunSize& size, const Rehearsal& r) {
  for (const std::string& line : formulas(size)) std::cout << line << '\n';
  std::cout << num_parameters(config.model) << " parameters, " << config.train.dtype << "\n\n"
            << r.ledger << '\n';
  const MachineRates rates = measure_machine(config.train.dtype);
  const std::int64_t tokens = size.tokens_per_step() / size.dp;
  const double flops = static_cast<double>(tokens) * flops_per_token(config.model, size.seq_len);
  std::cout << "step at least " << estimate_step_seconds(r.trace, rates)
            << " s on ranks like this process, of " << omp_get_max_threads()
            << " threads: " << rates.flops_per_second / 1e9 << " GFLOP/s, "
            << rates.bytes_per_second / 1e9 << " GB/s; waiting for others not counted\n"
            << flops / 1e9 << " GFLOP per rank and step by 6 N + 6 L C T per token\n";
}

}  // namespace

int plan_command(const std::vector<std::string>& args) {
  namespace po = boost::program_options;
  std::int64_t ranks = 1;
  int rank = 0;
  po::options_description own("plan");
  own.add_options()("ranks,N", po::value(&ranks)->default_value(1), "ranks of the run")(
      "rank", po::value(&rank)->default_value(0),
      "whose plan: parallel.reduce = exact may ask some ranks for more memory")(
      "collectives", "also list every collective of a step, in order");
  // -np N, as mpirun spells it.
  std::vector<std::string> spelled = args;
  for (std::string& arg : spelled)
    if (arg == "-np") arg = "--ranks";
  const auto given = parse_recipe_arguments(
      "plan", "Rehearses a run on shapes alone: its memory, collectives and step time.", spelled,
      own);
  if (!given) return 0;
  require(ranks > 0 && ranks <= 1 << 20, "fusor plan: a run has 1 to 1048576 ranks, not ", ranks);
  require(rank >= 0 && rank < ranks, "fusor plan: there is no rank ", rank, " of ", ranks);
  const RunSize size = run_size(given->config, ranks);
  if (const std::int64_t threads = given->config.parallel.threads; threads > 0)
    omp_set_num_threads(static_cast<int>(threads));  // workspaces are per thread
  const Rehearsal rehearsal = rehearse(given->config, size, rank);
  print_plan(given->config, size, rehearsal);
  if (given->options.contains("collectives"))
    std::cout << '\n' << planned_collectives(rehearsal.trace);
  return 0;
}

}  // namespace fusor
