// Training steps of a recipe on one rank and a batch of random tokens, asked as gpt2_pytorch.py is:
//
//   train_step_bench [--section.key=value]...     the keys of a recipe; its preset is gpt2-124m
//
// Reads lines from standard input; each holds a number of steps to take. Answers each with one line
// of JSON: {"seconds": [of each step], "kernel_seconds": [of its operators], "loss": of the last,
// "planned_bytes": of the arena}. Threads: OMP_NUM_THREADS.
#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "launch/recipe.h"
#include "launch/rehearsal.h"
#include "launch/trainer.h"
#include "models/gpt.h"
#include "runtime/random.h"

namespace fusor {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

KeyValues parse(int argc, char** argv) {
  KeyValues keys;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const std::size_t equals = arg.find('=');
    require(arg.starts_with("--") && equals != std::string::npos, arg,
            ": expected --section.key=value");
    keys[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }
  return keys;
}

Config config_of(const KeyValues& keys) {
  std::istringstream recipe(
      "[model]\npreset = gpt2-124m\n[train]\nsteps = 1000\n"
      "[optimizer]\nlr = 3e-4\nschedule = constant\n");
  return parse_recipe(recipe, "train_step_bench", keys);
}

std::vector<std::int32_t> random_text(std::int64_t length, std::int64_t vocab_size) {
  const RandomKey key = random_key(1, "train_step_bench");
  std::vector<std::int32_t> text;
  for (std::int64_t i = 0; i < length; ++i)
    text.push_back(
        static_cast<std::int32_t>(random_bits(key, static_cast<std::uint64_t>(i)) % vocab_size));
  return text;
}

void serve(const Config& config) {
  const RunSize size = run_size(config, 1);
  const Rehearsal rehearsal = rehearse(config, size, 0);
  const Device device = Device::arena(rehearsal.memory);
  Gpt model(config.model);
  Trainer trainer(model, config, size, Mesh::over(Group(), {}), device);
  trainer.initialize();
  const std::vector<std::int32_t> text =
      random_text(size.micro_batch * size.seq_len + 1, config.model.vocab_size);
  const auto next = [&](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
    std::copy_n(text.begin(), tokens.size(), tokens.begin());
    std::copy_n(text.begin() + 1, targets.size(), targets.begin());
  };
  std::int64_t step = 0;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer = {{"planned_bytes", rehearsal.memory.bytes}};
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
    fusor::serve(fusor::config_of(fusor::parse(argc, argv)));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "train_step_bench: " << e.what() << '\n';
    return 1;
  }
}
