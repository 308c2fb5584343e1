// Training steps of a recipe on one rank and a batch of random tokens, asked as language_pytorch.py
// is:
//
//   train_step_bench [--section.key=value]...     the keys of a recipe; its preset is gpt2-124m
//
// Reads lines from standard input; each holds a number of steps to take. Answers each with one line
// of JSON: {"seconds": [of each step], "kernel_seconds": [of its operators; on a GPU from the start
// of the first to the end of the last], "loss": of the last, "planned_bytes": of the arena,
// "flops_per_token": see launch/trainer.h}. Threads: OMP_NUM_THREADS.
#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "benchmarks/recipe_arguments.h"
#include "launch/placement.h"
#include "launch/recipe.h"
#include "launch/rehearsal.h"
#include "launch/trainer.h"
#include "models/gpt.h"

namespace fusor {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Config config_of(const KeyValues& keys) {
  std::istringstream recipe(
      "[model]\npreset = gpt2-124m\n[train]\nsteps = 1000\n"
      "[optimizer]\nlr = 3e-4\nschedule = constant\n");
  return parse_recipe(recipe, "train_step_bench", keys);
}

void serve(const Config& config) {
  const RunSize size = run_size(config, 1);
  const Placement placement = place_rank(config.train.device, World(Group(), "here", 0, 1));
  const Rehearsal rehearsal = rehearse(placed(config, placement.kind()), size, 0);
  const Device device = placement.arena(rehearsal.memory);
  Trainer trainer(TextTask(config), config, size, Mesh::over(Group(), {}), device);
  trainer.initialize();
  const BatchSource next = benchmark::random_batches(size, config.model.vocab_size);
  std::int64_t step = 0;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer = {{"planned_bytes", rehearsal.memory.bytes},
                             {"flops_per_token", flops_per_token(config.model, size.seq_len)}};
    for (int i = 0; i < std::stoi(line); ++i, ++step) {
      device.backend().clock = {};
      const double start = now();
      trainer.accumulate(step, next);
      answer["loss"] = trainer.update(step, {}).loss;
      answer["seconds"].push_back(now() - start);
      answer["kernel_seconds"].push_back(device.backend().clock.seconds);
    }
    std::cout << answer.dump() << std::endl;
  }
}

}  // namespace
}  // namespace fusor

int main(int argc, char** argv) {
  try {
    fusor::serve(fusor::config_of(fusor::benchmark::recipe_arguments(argc, argv)));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "train_step_bench: " << e.what() << '\n';
    return 1;
  }
}
