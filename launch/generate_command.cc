#include <algorithm>
#include <iostream>

#include "launch/commands.h"
#include "launch/model_loader.h"
#include "launch/sampler.h"
#include "models/generate.h"
#include "models/gpt.h"

namespace fusor {
namespace {

namespace po = boost::program_options;

Generator generator_of(const Config& config, const Model& model, std::int64_t length,
                       const Device& device) {
  return {dynamic_cast<const Gpt&>(model), std::min(length, config.model.seq_len),
          config.train.dtype, device};
}

void stream_text(const ModelArguments& given, const std::string& prompt, std::int64_t count,
                 const SamplingConfig& sampling, const World& world) {
  const std::vector<std::int32_t> tokens = byte_tokens(prompt.empty() ? "\n" : prompt);
  const std::int64_t length = std::ssize(tokens) + count;
  const TrainedModel trained =
      load_model(given, world,
                 [&](const Config& config, const Task&, const Model& model, const Device& device) {
                   generator_of(config, model, length, device).rehearse(std::ssize(tokens), count);
                 });
  Generator generator = generator_of(trained.config, *trained.model, length, trained.device);
  std::cout << prompt << std::flush;
  generator.generate(tokens, count, sampling, [](std::int32_t token) {
    std::cout << byte_of(token) << std::flush;
    require(std::cout.good(), "fusor generate: standard output does not take the text");
  });
  std::cout << std::endl;
}

}  // namespace

int generate_command(const std::vector<std::string>& args) {
  std::string prompt;
  std::int64_t count = 200;
  SamplingConfig sampling;
  po::options_description own;
  own.add_options()("prompt", po::value(&prompt)->value_name("TEXT"),
                    "what to go on from (default: a new line)")(
      "tokens", po::value(&count)->default_value(count), "bytes to make")(
      "temperature", po::value(&sampling.temperature)->default_value(sampling.temperature),
      "below 1: nearer to the most probable text; 0: that text")(
      "top-k", po::value(&sampling.top_k)->default_value(sampling.top_k),
      "draw from the k most probable bytes alone; 0: from all")(
      "top-p", po::value(&sampling.top_p)->default_value(sampling.top_p),
      "draw from the fewest most probable bytes that have this probability together")(
      "seed", po::value(&sampling.seed)->default_value(sampling.seed),
      "the same seed gives the same text");
  const auto given = parse_model_arguments(
      "generate", "Writes text by a trained model of bytes, as it is made.", args, own);
  if (!given) return 0;
  require(count > 0, "fusor generate: --tokens must be 1 or more, not ", count);
  require_valid(sampling);
  const World world = World::join();
  require(world.size() == 1, "fusor generate runs on one rank, not ", world.size());
  stream_text(*given, prompt, count, sampling, world);
  return 0;
}

}  // namespace fusor
