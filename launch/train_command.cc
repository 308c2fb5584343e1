#include <omp.h>

#include <iostream>
#include <optional>

#include "launch/commands.h"
#include "launch/recipe.h"
#include "launch/run.h"
#include "launch/signals.h"
#include "launch/together.h"
#include "parallel/comm_plan.h"
#include "runtime/host_memory.h"

namespace fusor {
namespace {

// Every rank of a host takes its arena at once; the kernel would find out too late, and kill one.
void require_memory(const Rehearsal& rehearsal, const World& world) {
  const std::size_t needed = rehearsal.memory.bytes * static_cast<std::size_t>(world.local_size());
  const std::size_t available = available_host_memory();
  require(needed <= available, "this run needs ", readable_bytes(rehearsal.memory.bytes), " x ",
          world.local_size(), " ranks on host ", world.host(), ", where ",
          readable_bytes(available),
          " are free: use more hosts, a smaller train.micro_batch or model");
}

}  // namespace

int train_command(const std::vector<std::string>& args) {
  namespace po = boost::program_options;
  listen_to_signals();
  const World world = World::join();
  std::optional<RecipeArguments> given;
  RunSize size;
  Rehearsal rehearsal;
  std::optional<RunData> data;
  together(world, [&] {
    given = parse_recipe_arguments("train", "Trains a model from a dataset, as the recipe says.",
                                   args, {});
    if (!given) return;
    size = run_size(given->config, world.size());
    require(!given->config.data.path.empty(), "data.path is not set: name the dataset's folder");
    const std::int64_t threads = given->config.parallel.threads;
    omp_set_num_threads(threads > 0 ? static_cast<int>(threads) : world.threads());
    rehearsal = rehearse(given->config, size, world.rank());
    require_memory(rehearsal, world);
    data.emplace(RunData::open(given->config));
  });
  if (!given) return 0;
  require_same_collectives(world.group(), rehearsal.trace);
  Run(given->config, size, rehearsal, std::move(*data), world).train();
  return 0;
}

}  // namespace fusor
