#include "launch/trainer.h"

#include <algorithm>

#include "launch/lr_schedule.h"
#include "ops/add.h"
#include "ops/fill.h"
#include "parallel/reduction_tree.h"

namespace fusor {
namespace {

StoreOptions store_options(const Config& config, const RunSize& size) {
  const ParallelConfig& p = config.parallel;
  return {.compute = config.train.dtype,
          .zero = static_cast<int>(p.zero),
          .reduce = p.reduce,
          .micros = size.accumulation,
          .bucket_bytes = static_cast<std::int64_t>(p.bucket_mb * (1 << 20))};
}

void call_progress(void* transport) { static_cast<Transport*>(transport)->progress(); }

}  // namespace

Trainer::Trainer(Model& model, const Config& config, const RunSize& size, const Mesh& mesh,
                 const Device& device)
    : config_(config),
      size_(size),
      mesh_(mesh),
      device_(device),
      model_(model),
      parameters_(parameters_by_part(model_), store_options(config, size), mesh, device),
      optimizer_({&parameters_}, mesh, device) {
  const Scope scope(device, "trainer");
  const auto scalars = [&](std::int64_t n) { return Tensor({n}, DType::f64, device); };
  one_ = scalars(1), losses_ = scalars(size.accumulation);
  ops::fill(one_, 1);
  if (mesh.dp.size() > 1) {
    device.backend().progress = call_progress;
    device.backend().progress_arg = mesh_.dp.operator->();
  }
}

// The device may outlive the mesh.
Trainer::~Trainer() { device_.backend().progress = nullptr; }

void Trainer::initialize() {
  parameters_.initialize(static_cast<std::uint64_t>(config_.train.seed));
}

void Trainer::micro(std::int64_t step, std::int64_t i, const BatchSource& next) {
  // The first writes gradients, the others add to them, the last sends them: what they allocate
  // for that may differ.
  const char* const program_name = i + 1 == size_.accumulation ? "micro.last"
                                   : i == 0                    ? "micro.first"
                                                               : "micro";
  const Program program(device_, program_name);
  const TokenBatch batch = upload(next, micro_shape(), device_, &targets_);
  parameters_.begin_micro(i);
  Tape tape;
  const Var loss = model_.loss(batch, {.tape = &tape,
                                       .training = true,
                                       .seed = static_cast<std::uint64_t>(config_.train.seed),
                                       .step = step,
                                       .first_sample = (first_micro() + i) * size_.micro_batch});
  ops::add_into(losses_.slice(i, {1}), loss.value(), false);
  tape.backward(loss, one_);
  parameters_.end_micro(i);
}

void Trainer::accumulate(std::int64_t step, const BatchSource& next) {
  targets_ = 0;
  for (std::int64_t i = 0; i < size_.accumulation; ++i) micro(step, i, next);
}

Trainer::Step Trainer::update(std::int64_t step, const Flags& flags) {
  const bool rehearsal = device_.kind() == DeviceKind::meta;
  const auto micros = static_cast<std::size_t>(size_.accumulation);
  std::vector<double> mine(micros, 0);
  if (!rehearsal) std::ranges::copy(losses_.host<double>(), mine.begin());
  mine.push_back(static_cast<double>(targets_));
  mine.insert(mine.end(), flags.begin(), flags.end());
  Step result;
  std::vector<double> losses;
  for (Flags& all : gather_numbers(mesh_.dp, mine, "step/losses")) {
    losses.insert(losses.end(), all.begin(), all.begin() + size_.accumulation);
    result.targets += rehearsal ? 1 : static_cast<std::int64_t>(all[micros]);
    result.flags.emplace_back(all.begin() + size_.accumulation + 1, all.end());
  }
  require(result.targets > 0, "step ", step, " has no target to learn from");
  result.loss = tree_sum(losses) / static_cast<double>(result.targets);
  apply(step, static_cast<double>(result.targets));
  if (!rehearsal) result.grad_norm = optimizer_.grad_norm().host<double>()[0];
  return result;
}

void Trainer::apply(std::int64_t step, double targets) {
  const Program program(device_, "update");
  const Scope scope(device_, "update");
  const OptimizerConfig& o = config_.optimizer;
  optimizer_.run({.adamw = {.lr = lr_at(step, size_.steps, o),
                            .beta1 = o.beta1,
                            .beta2 = o.beta2,
                            .eps = o.eps,
                            .step = step + 1},
                  .weight_decay = o.weight_decay,
                  .clip = o.clip},
                 targets);
}

Evaluation Trainer::evaluate(std::int64_t count, const BatchSource& next) {
  return fusor::evaluate(model_, count, next, micro_shape(), mesh_.dp, device_);
}

double flops_per_token(const GptConfig& config, std::int64_t seq_len) {
  return 6 * static_cast<double>(num_active_parameters(config)) +
         6 * static_cast<double>(config.layers * config.width * seq_len);
}

}  // namespace fusor
