// A model of our own, from Fusor's operators: the next character from the last one. Fusor trains it
// on a sentence; the program fails unless the model has learnt it. Runs alone or under mpirun.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>

#include "launch/text_task.h"
#include "launch/trainer.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "runtime/world.h"

namespace {

class NextCharacter final : public fusor::Model {
 public:
  std::vector<fusor::Part> parts() const override { return {{"model", {}, /*reads_batch=*/true}}; }
  fusor::Shape output_shape(int, const fusor::BatchShape&) const override { return {1}; }
  fusor::Var run(int, const std::vector<fusor::Var>&, const fusor::Batch& batch,
                 const fusor::Pass& pass) const override {
    const fusor::Var x = embedding(table_, fusor::Var::input(batch.flat("tokens"), pass.tape));
    return cross_entropy(linear(linear_gelu(x, up_), down_), batch.flat("targets"));
  }
  void visit(int, const fusor::Visitor& visitor) override {
    visitor(table_);
    visitor(up_);
    visitor(down_);
  }

 private:
  fusor::Parameter table_{"table", {128, 16}, {.std = 0.1}};
  fusor::Parameter up_{"up", {64, 16}, {.std = 0.1}};
  fusor::Parameter down_{"down", {128, 64}, {.std = 0.1}};
};

constexpr std::string_view kText = "the quick brown fox jumps";

void sentence(std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
  std::copy(kText.begin(), kText.end() - 1, tokens.begin());
  std::copy(kText.begin() + 1, kText.end(), targets.begin());
}

class Sentence final : public fusor::TextTask {
 public:
  using fusor::TextTask::TextTask;
  std::unique_ptr<fusor::Model> model(const fusor::Mesh&) const override {
    return std::make_unique<NextCharacter>();
  }
};

}  // namespace

int main() {
  const fusor::World world = fusor::World::join();
  fusor::Config config;
  config.data.seq_len = std::ssize(kText) - 1;
  config.optimizer.lr = 0.01;
  config.train.steps = 100;
  config.train.global_batch = 2;
  config.train.micro_batch = 1;

  fusor::Trainer trainer(Sentence(config), config, run_size(config, world.size()),
                         fusor::Mesh::over(world.group(), {.dp = world.size()}), fusor::Device());
  trainer.initialize();
  const auto rows = fusor::RowMap::whole(0, config.data.seq_len);
  const fusor::BatchSource batches = fusor::text_batches(sentence, rows, /*vocab=*/128);
  double first = 0, last = 0;
  for (std::int64_t step = 0; step < config.train.steps; ++step) {
    trainer.accumulate(step, batches);
    last = trainer.update(step, {}).loss;
    if (step == 0) first = last;
  }
  if (world.rank() == 0) std::printf("loss %.3f, after 100 steps %.3f\n", first, last);
  return std::abs(first - std::log(128)) < 0.1 && last < first / 4 ? 0 : 1;
}
