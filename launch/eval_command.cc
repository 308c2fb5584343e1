#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <numbers>
#include <optional>

#include "launch/commands.h"
#include "launch/evaluation.h"
#include "launch/model_loader.h"
#include "launch/run.h"
#include "launch/together.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

Evaluation evaluate_split(const TrainedModel& trained, const Dataset& data, std::int64_t batches,
                          const World& world) {
  const Config& config = trained.config;
  const MicroShape shape{config.train.micro_batch > 0 ? config.train.micro_batch : 8,
                         RowMap::whole(0, config.data.seq_len)};
  Loader loader(data,
                evaluation_config(config.data.seq_len, shape.samples, world.rank(), world.size()));
  std::int64_t count = loader.num_steps();
  if (batches > 0) count = std::min(count, batches);
  const auto loss_of = [&](const std::function<TokenBatch()>& next) {
    return trained.model->loss(next(), {}).value();
  };
  StagedBatch batch(shape, config.model.vocab_size, trained.device);
  return evaluate(loss_of, count, batches_of(loader), batch, world.group(), trained.device);
}

void print_evaluation(const Evaluation& e, const TrainedModel& trained, const Dataset& data) {
  const double loss = e.loss / static_cast<double>(e.targets);
  const bool bytes = data.manifest().tokenizer == "bytes";
  std::cout << trained.folder << ", step " << trained.step << ", on " << trained.config.data.path
            << ", split " << data.split() << '\n'
            << std::fixed << std::setprecision(4) << "loss " << loss << " nats per token, "
            << loss / std::numbers::ln2 << (bytes ? " bits per byte" : " bits per token")
            << ", perplexity " << std::exp(loss) << ", " << e.targets << " tokens\n";
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
        "Prints a trained model's loss on text, in nats and bits. With mpirun, ranks share the "
        "text.",
        args, own);
    require(batches >= 0, "fusor eval: --batches must be 0 or more, not ", batches);
  });
  if (!given) return 0;
  TrainedModel trained = load_model(*given, world);
  if (!folder.empty()) trained.config.data.path = folder;
  std::optional<Dataset> data;
  together(world, [&] { data.emplace(open_split(trained.config, split)); });
  const Evaluation evaluation = evaluate_split(trained, *data, batches, world);
  if (world.rank() == 0) print_evaluation(evaluation, trained, *data);
  return 0;
}

}  // namespace fusor
