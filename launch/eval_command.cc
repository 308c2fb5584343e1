#include <algorithm>
#include <iostream>
#include <optional>

#include "launch/commands.h"
#include "launch/evaluation.h"
#include "launch/model_loader.h"
#include "launch/together.h"
#include "ops/add.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

RunSize size_of_evaluation(const Config& config, const World& world) {
  return {.micro_batch = config.train.micro_batch > 0 ? config.train.micro_batch : 8,
          .accumulation = 1,
          .dp = world.size(),
          .mesh = {.dp = world.size()},
          .seq_len = config.data.seq_len};
}

// Of a whole model on this rank; ranks share the data.
Evaluation evaluate_with(const Model& model, const HeldOut& data, const Group& group,
                         const Device& device) {
  const std::size_t measures = model.measures().size();
  const Tensor sums({static_cast<std::int64_t>(1 + measures)}, DType::f64, device);
  StagedBatch batch(device);
  const auto loss_of = [&](const BatchShape& shape, const std::function<Batch()>& next) {
    const Program program(device, "eval" + shape.suffix());
    ops::add_into(sums, model.loss(next(), {}).value(), false);
    return sums;
  };
  return evaluate(loss_of, measures, data, batch, group, device);
}

// A micro-batch of each shape.
HeldOut rehearsed(const Inputs& inputs) {
  return {.count = std::ssize(inputs.shapes),
          .next = {},
          .shape_of = [&inputs](std::int64_t i) -> const BatchShape& {
            return inputs.shapes[static_cast<std::size_t>(i)];
          }};
}

Evaluation evaluate_split(const TrainedModel& trained, const std::string& split,
                          std::int64_t batches, const World& world) {
  const RunSize size = size_of_evaluation(trained.config, world);
  HeldOut data = trained.task->held_out(split, size, Mesh::over(world.group(), size.mesh));
  if (batches > 0) data.count = std::min(data.count, batches);
  return evaluate_with(*trained.model, data, world.group(), trained.device);
}

}  // namespace

int eval_command(const std::vector<std::string>& args) {
  const World world = World::join();
  std::string folder, split;
  std::int64_t batches = 0;
  po::options_description own;
  own.add_options()("data", po::value(&folder)->value_name("DIR"),
                    "dataset (default: the recipe's data.path)")(
      "split", po::value(&split)->value_name("NAME")->default_value("val"), "which split of it")(
      "batches", po::value(&batches)->value_name("N")->default_value(batches),
      "micro-batches per rank; 0: the whole split");
  std::optional<ModelArguments> given;
  together(world, [&] {
    given = parse_model_arguments(
        "eval",
        "Prints a trained model's loss, and what else tells how good it is, on held-out data. With "
        "mpirun, ranks share the data.",
        args, own);
    require(batches >= 0, "fusor eval: --batches must be 0 or more, not ", batches);
  });
  if (!given) return 0;
  TrainedModel trained = load_model(
      *given, world,
      [&](const Config& config, const Task& task, const Model& model, const Device& device) {
        const Inputs inputs = task.inputs(size_of_evaluation(config, world), {});
        evaluate_with(model, rehearsed(inputs), Group(), device);
      });
  if (!folder.empty()) {
    trained.config.data.path = folder;
    trained.task = make_task(trained.config);
  }
  together(world, [&] { trained.task->open(split); });
  const Evaluation evaluation = evaluate_split(trained, split, batches, world);
  if (world.rank() == 0)
    std::cout << trained.folder << ", step " << trained.step << ", on " << trained.config.data.path
              << ", split " << split << '\n'
              << trained.task->describe(evaluation) << '\n';
  return 0;
}

}  // namespace fusor
