#include <omp.h>

#include <iostream>
#include <optional>
#include <sstream>

#include "launch/commands.h"
#include "launch/planned_job.h"
#include "launch/recipe.h"
#include "launch/run.h"
#include "launch/signals.h"
#include "launch/together.h"
#include "parallel/comm_plan.h"
#include "parallel/verifier.h"

namespace fusor {
namespace {

// Master weights, gradients and two moments, of a rank if all that may split them did so evenly. A
// model a thousand times too large is refused by this, before a rehearsal that would take minutes.
std::size_t least_memory(const Task& task, const Config& config, const MeshShape& mesh) {
  const auto parameters = static_cast<std::size_t>(num_parameters(task));
  const int split = config.parallel.zero > 0 ? mesh.size() : mesh.tp * mesh.pp * mesh.ep;
  return 4 * parameters * size_of(acc_dtype(config.train.dtype)) / static_cast<std::size_t>(split);
}

// Throws Error on all ranks when two were given different recipes. Collective.
void require_same_recipe(const Group& world, const Config& config) {
  const std::vector<std::string> recipes = gather_texts(world, to_ini(config), "set-up/recipes");
  const auto recipe_of = [&](std::size_t rank) {
    std::istringstream text(recipes[rank]);
    return parse_recipe(text, "the recipe of rank " + std::to_string(rank));
  };
  for (std::size_t rank = 1; rank < recipes.size(); ++rank) {
    if (recipes[rank] == recipes[0]) continue;
    const Difference d = differences(recipe_of(0), recipe_of(rank)).at(0);
    raise("ranks 0 and " + std::to_string(rank) + " have different recipes: " + d.key + " = " +
          d.before + " and " + d.key + " = " + d.after);
  }
}

}  // namespace

int train_command(const std::vector<std::string>& args) {
  namespace po = boost::program_options;
  listen_to_signals();
  const World world = World::join();
  std::optional<RecipeArguments> given;
  RunSize size;
  Placement placement;
  Rehearsal rehearsal;
  std::unique_ptr<Task> task;
  together(world, [&] {
    given = parse_recipe_arguments("train", "Trains a model from a dataset, as the recipe says.",
                                   args, {});
    if (!given) return;
    size = run_size(given->config, world.size());
    require(!given->config.data.path.empty(), "data.path is not set: name the dataset's folder");
    const std::int64_t threads = given->config.parallel.threads;
    omp_set_num_threads(threads > 0 ? static_cast<int>(threads) : world.threads());
  });
  if (!given) return 0;
  together(world, [&] { placement = place_rank(given->config.train.device, world); });
  together(world, [&] {
    task = make_task(given->config);
    require_memory(least_memory(*task, given->config, size.mesh), "more than ", placement);
    rehearsal = rehearse(*task, placed(given->config, placement.kind()), size, world.rank());
    require_memory(rehearsal.memory.bytes, "", placement);
    task->open("train");
    if (given->config.train.eval_every > 0) task->open("val");
  });
  Job job;
  together(world, [&] {
    job = plan_job(*task, placed(given->config, placement.kind()), size).job;
    verify(job);
    require_part(job, world.rank(), script_of(rehearsal.trace));
  });
  together(world, [&] {
    require_same_collectives(world.group(), planned_collectives(job));
    require_same_recipe(world.group(), given->config);
  });
  Run(*task, given->config, size, placement, rehearsal, world).train();
  return 0;
}

}  // namespace fusor
