#pragma once
#include <boost/program_options.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/config.h"
#include "launch/task.h"
#include "parallel/parameter_store.h"
#include "runtime/world.h"

namespace fusor {

// What the commands that use a trained model take: [RECIPE.ini] [--from PATH] [--dtype TYPE]
// [--device KIND], and options of their own.
struct ModelArguments {
  std::string from;  // a run's folder or a checkpoint's; the recipe's log.dir if not given
  std::optional<Config> recipe;  // its model must be the checkpoint's
  std::optional<DType> dtype;
  TrainDevice device = TrainDevice::automatic;    // the recipe's, if one is given
  boost::program_options::variables_map options;  // the command's own
};

// Arguments of `fusor NAME`. Prints the help and returns nothing when --help is among them.
std::optional<ModelArguments> parse_model_arguments(
    const std::string& name, const std::string& summary, const std::vector<std::string>& args,
    const boost::program_options::options_description& own);

// A model as a checkpoint holds it, with weights alone, where this rank is placed.
struct TrainedModel {
  Config config;  // the recipe given, else the checkpoint's; train.dtype is what the model is in
  std::string folder;  // the checkpoint's
  std::int64_t step;   // of the run, when it was saved
  Device device;
  std::unique_ptr<Task> task;
  std::unique_ptr<Model> model;
  ParameterStore parameters;
};

// What a command does with the model. It is played once on a meta device, and then finds its memory
// planned.
using ModelUse = std::function<void(const Config&, const Task&, const Model&, const Device&)>;

// Loads the checkpoint, or a run's newest; each rank verifies its share of the shards. Collective;
// throws Error when there is none, it is not whole, the recipe has another model, or it does not
// fit.
TrainedModel load_model(const ModelArguments& arguments, const World& world, const ModelUse& use);

}  // namespace fusor
