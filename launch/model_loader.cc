#include "launch/model_loader.h"

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/checkpoint.h"
#include "launch/arguments.h"
#include "launch/placement.h"
#include "launch/recipe.h"
#include "launch/saver.h"
#include "launch/together.h"
#include "launch/values.h"
#include "ops/fill.h"
#include "runtime/copy.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

Config recipe_of(const Checkpoint& checkpoint) {
  const std::string& where = checkpoint.folder();
  const auto recipe = checkpoint.state().find("recipe");
  require(recipe != checkpoint.state().end() && recipe->is_string(), where,
          " holds no recipe, so it was not saved by fusor train");
  std::istringstream text(recipe->get<std::string>());
  return parse_recipe(text, where + ": recipe");
}

// The recipe to go by, which is about the checkpoint's model.
Config choose_recipe(const ModelArguments& arguments, const Checkpoint& checkpoint) {
  Config saved = recipe_of(checkpoint);
  const DType dtype = arguments.dtype.value_or(arguments.recipe ? arguments.recipe->train.dtype
                                                                : saved.train.dtype);
  Config chosen = arguments.recipe.value_or(saved);
  chosen.train.dtype = dtype;
  Config with_saved_model = chosen;
  with_saved_model.model = saved.model;
  require_resumable(with_saved_model, chosen, checkpoint.folder());
  return chosen;
}

// The checkpoint has the dtype of the master weights.
void read_weights(Checkpoint& checkpoint, const ParameterStore& parameters) {
  std::map<std::string, DType> saved;
  for (const TensorBox& box : checkpoint.tensors()) saved[box.name] = box.dtype;
  for (const auto& [box, weights] : parameters.state(/*optimizer=*/false)) {
    const auto found = saved.find(box.name);
    const bool same = found == saved.end() || found->second == weights.dtype();
    const bool here = weights.device().kind() == DeviceKind::cpu;
    const Tensor whole = here ? weights : Tensor(weights.shape(), weights.dtype());
    const Tensor read = same ? whole : Tensor(weights.shape(), found->second);
    TensorBox from = box;
    from.dtype = read.dtype();
    checkpoint.read(from, {read.raw(), read.bytes()});
    if (!same) ops::convert(read, whole);
    if (here) continue;
    copy(whole, weights);
    synchronize(weights.device());
  }
}

ParameterStore weights_of(Model& model, const Config& config, const Device& device) {
  return ParameterStore::frozen(parameters_of(model), config.train.dtype, device);
}

MemoryPlan rehearse_use(const Config& config, const Task& task, const ModelUse& use,
                        DeviceKind kind) {
  Trace trace;
  const Device meta = Device::meta(trace, kind);
  const std::unique_ptr<Model> model = task.model();
  const ParameterStore parameters = weights_of(*model, config, meta);
  use(config, task, *model, meta);
  return plan_memory(trace);
}

}  // namespace

std::optional<ModelArguments> parse_model_arguments(const std::string& name,
                                                    const std::string& summary,
                                                    const std::vector<std::string>& args,
                                                    const po::options_description& own) {
  const std::string command = "fusor " + name;
  ModelArguments result;
  std::string recipe, dtype, device;
  po::options_description shared, all;
  shared.add_options()("help,h", "print this")("from", po::value(&result.from)->value_name("PATH"),
                                               "a run's folder, for its newest checkpoint, or a "
                                               "checkpoint's (default: the recipe's log.dir)")(
      "dtype", po::value(&dtype)->value_name(placeholder(DType{})),
      "what to compute in (default: the recipe's train.dtype)")(
      "device", po::value(&device)->value_name(placeholder(TrainDevice{})),
      "where to compute (default: the recipe's train.device if one is given, else auto)");
  all.add(shared).add(own).add_options()("recipe", po::value(&recipe));
  result.options =
      parse_arguments(command, args, all, po::positional_options_description().add("recipe", 1));
  const std::string usage = "usage: " + command + " [RECIPE.ini] --from PATH [OPTIONS]";
  if (result.options.contains("help")) {
    std::cout << usage << "\n\n" << summary << "\n\n" << shared << own;
    return std::nullopt;
  }
  if (!recipe.empty()) result.recipe = read_recipe(recipe);
  if (result.from.empty() && result.recipe) result.from = result.recipe->log.dir;
  require(!result.from.empty(), command, ": no checkpoint given, ", usage);
  if (!dtype.empty()) {
    result.dtype.emplace();
    require(parse_value(dtype, *result.dtype), command, ": --dtype ", dtype, " is not ",
            expected(DType{}));
  }
  if (result.recipe) result.device = result.recipe->train.device;
  require(device.empty() || parse_value(device, result.device), command, ": --device ", device,
          " is not ", expected(TrainDevice{}));
  return result;
}

TrainedModel load_model(const ModelArguments& arguments, const World& world, const ModelUse& use) {
  std::optional<TrainedModel> result;
  Placement placement;
  together(world, [&] { placement = place_rank(arguments.device, world); });
  together(world, [&] {
    Checkpoint checkpoint = open_shared(arguments.from, world);
    const Config config = choose_recipe(arguments, checkpoint);
    std::unique_ptr<Task> task = make_task(config);
    std::unique_ptr<Model> model = task->model();
    const MemoryPlan memory = rehearse_use(config, *task, use, placement.kind());
    require_memory(memory.bytes, "", placement);
    const Device device = placement.arena(memory);
    ParameterStore parameters = weights_of(*model, config, device);
    read_weights(checkpoint, parameters);
    result.emplace(TrainedModel{config, checkpoint.folder(), checkpoint.step(), device,
                                std::move(task), std::move(model), std::move(parameters)});
  });
  return std::move(*result);
}

}  // namespace fusor
