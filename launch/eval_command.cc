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
#include "ops/add.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

// The loss of a model on micro-batches of text.
class Evaluator {
 public:
  Evaluator(const Config& config, const Gpt& model, const Device& device)
      : model_(model),
        device_(device),
        shape_{config.train.micro_batch > 0 ? config.train.micro_batch : 8,
               RowMap::whole(0, config.data.seq_len)},
        batch_(shape_, config.model.vocab_size, device),
        loss_({1}, DType::f64, device) {}

  // Of `count` micro-batches a rank; an empty `next` is a rehearsal.
  Evaluation run(std::int64_t count, const BatchSource& next, const Group& group) {
    const auto loss_of = [this](const std::function<TokenBatch()>& batch) {
      const Program program(device_, "eval");
      ops::add_into(loss_, model_.loss(batch(), {}).value(), false);
      return loss_;
    };
    return evaluate(loss_of, count, next, batch_, group, device_);
  }
  std::int64_t samples() const { return shape_.samples; }

 private:
  const Gpt& model_;
  Device device_;
  MicroShape shape_;
  StagedBatch batch_;
  Tensor loss_;
};

Evaluation evaluate_split(const TrainedModel& trained, const Dataset& data, std::int64_t batches,
                          const World& world) {
  Evaluator evaluator(trained.config, *trained.model, trained.device);
  Loader loader(data, evaluation_config(trained.config.data.seq_len, evaluator.samples(),
                                        world.rank(), world.size()));
  std::int64_t count = loader.num_steps();
  if (batches > 0) count = std::min(count, batches);
  return evaluator.run(count, batches_of(loader), world.group());
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
  TrainedModel trained =
      load_model(*given, world, [](const Config& config, const Gpt& model, const Device& device) {
        Evaluator(config, model, device).run(1, {}, Group());
      });
  if (!folder.empty()) trained.config.data.path = folder;
  std::optional<Dataset> data;
  together(world, [&] { data.emplace(open_split(trained.config, split)); });
  const Evaluation evaluation = evaluate_split(trained, *data, batches, world);
  if (world.rank() == 0) print_evaluation(evaluation, trained, *data);
  return 0;
}

}  // namespace fusor
