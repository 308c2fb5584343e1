#include "launch/trainer.h"

#include <cmath>

#include "launch/lr_schedule.h"
#include "launch/stages.h"
#include "launch/transfer.h"
#include "ops/fill.h"
#include "runtime/copy.h"

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

// The first scale of f16 is half of what is usual, where losses are means: here they are sums, and
// at 2^16 the gradient of a logit would be infinite.
LossScaling loss_scaling(const TrainConfig& train) {
  constexpr double kFirst = 0x1p15;
  constexpr std::int64_t kPatience = 2000;
  if (train.dtype != DType::f16) return {};
  return train.loss_scale > 0 ? LossScaling{train.loss_scale} : LossScaling{kFirst, kPatience};
}

std::unique_ptr<Model> model_of(const Task& task, const Config& config, const Mesh& mesh) {
  std::unique_ptr<Model> model = task.model(mesh);
  freeze(*model, config.train.freeze);
  return model;
}

std::string reason_not_to_capture(const Config& config, const Device& device,
                                  const std::vector<Group>& talking, std::size_t shapes) {
  if (device.kind() != DeviceKind::cuda) return "operators run at the call";
  if (!config.train.cuda_graph) return "train.cuda_graph is off";
  if (shapes > 1) return "micro-batches have several shapes";
  for (const Group& group : talking)
    if (!group->queues()) return "ranks exchange values by way of the host within a step";
  return config.log.trace.empty() ? "" : "log.trace shows each operator";
}

}  // namespace

Trainer::Trainer(const Task& task, const Config& config, const RunSize& size, const Mesh& mesh,
                 const Device& device)
    : model_(model_of(task, config, mesh)),
      inputs_(task.inputs(size, mesh)),
      config_(config),
      size_(size),
      mesh_(mesh),
      device_(device),
      pipeline_(*model_, stage_layout(task, config, size), store_options(config, size),
                {config.parallel.recompute, static_cast<int>(config.parallel.recompute_layers)},
                mesh, device),
      optimizer_(pipeline_.stores(), loss_scaling(config.train), mesh, device) {
  const Scope scope(device, "trainer");
  losses_ = Tensor({size.accumulation}, DType::f64, device);
  step_ = Tensor({1}, DType::i64, device);
  const Device host = Device::staging(device);
  prepared_step_ = Tensor({1}, DType::i64, host);
  read_losses_ = Tensor(losses_.shape(), DType::f64, host);
  read_norm_ = Tensor({1}, DType::f64, host);
  scaling_.scale = loss_scaling(config.train).scale;
  if (scaling_.scale > 0) read_scale_ = Tensor(optimizer_.loss_scale().shape(), DType::f64, host);
  for (std::int64_t i = 0; i < size.accumulation && reads_batch(); ++i)
    batches_.emplace_back(device);
  for (const Group& group :
       {mesh.tp, mesh.cp, mesh.pp, mesh.ep, mesh.data, mesh.shard, mesh.replicas, mesh.expert_data})
    if (group.size() > 1) talking_.push_back(group);
  why_not_captured_ = reason_not_to_capture(config, device, talking_, inputs_.shapes.size());
  if (talking_.empty()) return;
  device.backend().progress = call_progress;
  device.backend().progress_arg = this;
}

// The device may outlive the mesh.
Trainer::~Trainer() { device_.backend().progress = nullptr; }

void Trainer::call_progress(void* trainer) {
  for (const Group& group : static_cast<Trainer*>(trainer)->talking_) group->progress();
}

void Trainer::resume_scaling(const Scaling& before) {
  scaling_.skipped = before.skipped;
  if (loss_scaling(config_.train).patience == 0 || before.scale == 0) return;
  scaling_ = before;
  ops::fill(optimizer_.loss_scale().rows(0, 1), before.scale);
  ops::fill(optimizer_.loss_scale().rows(1, 2), before.since);
}

void Trainer::initialize() {
  for (const ParameterStore* store : stores())
    store->initialize(static_cast<std::uint64_t>(config_.train.seed));
}

void Trainer::rehearse_shape(std::size_t shape) {
  inputs_.shape_of = [shape](std::int64_t, std::int64_t) { return shape; };
}

void Trainer::accumulate(std::int64_t step, const BatchSource& next) {
  prepare(step, next);
  if (!at_once()) queue_micro_batches(step);
}

void Trainer::prepare(std::int64_t step, const BatchSource& next) {
  prepared_step_.host<std::int64_t>()[0] = step;
  targets_ = 0;
  std::int64_t micro = 0;
  for (StagedBatch& batch : batches_) {
    batch.fill(shape_of(step, micro++), next);
    if (counts_loss()) targets_ += batch.num_targets();
  }
}

void Trainer::queue_micro_batches(std::int64_t step) {
  copy(prepared_step_, step_);
  const Tensor scale = scaling_.scale > 0 ? optimizer_.loss_scale().rows(0, 1) : Tensor();
  auto batch = batches_.begin();
  pipeline_.run({.pass = {.training = true,
                          .seed = static_cast<std::uint64_t>(config_.train.seed),
                          .step = step_,
                          .loss_scale = scale},
                 .first_micro = first_micro(size_, mesh_),
                 .shape = [&](int micro) -> const BatchShape& { return shape_of(step, micro); },
                 .next_batch = [&] { return (batch++)->upload(); },
                 .losses = losses_});
}

// Between the exchange of what the host knows and the reading of the results, the host does not
// wait for the device.
Trainer::Step Trainer::update(std::int64_t step, const Flags& flags) {
  const bool rehearsal = device_.kind() == DeviceKind::meta;
  Step result;
  Flags mine{static_cast<double>(targets_)};
  mine.insert(mine.end(), flags.begin(), flags.end());
  for (Flags& all : gather_numbers(mesh_.world, mine, "step/flags")) {
    result.targets += rehearsal ? 1 : static_cast<std::int64_t>(all[0]);
    result.flags.emplace_back(all.begin() + 1, all.end());
  }
  require(result.targets > 0, "step ", step, " has no target to learn from");
  const UpdateSettings settings = settings_of(step);
  optimizer_.prepare(settings, static_cast<double>(result.targets));
  queue_rest(step, settings);
  synchronize(device_);
  ++steps_;
  result.loss = sum_of_losses() / static_cast<double>(result.targets);
  if (!rehearsal) {
    result.grad_norm = read_norm_.host<double>()[0];
    read_scaling(result);
  }
  return result;
}

void Trainer::read_scaling(Step& step) {
  if (!read_scale_.defined()) return;
  const auto state = read_scale_.host<double>();
  step.skipped = std::isnan(step.grad_norm);
  scaling_ = {state[0], state[1], scaling_.skipped + (step.skipped ? 1 : 0)};
}

double Trainer::sum_of_losses() const {
  std::vector<double> losses;
  if (device_.kind() != DeviceKind::meta && counts_loss()) {
    const auto mine = read_losses_.host<double>();
    losses.assign(mine.begin(), mine.end());
  }
  return sum_over_ranks(mesh_.world, losses, "step/losses");
}

UpdateSettings Trainer::settings_of(std::int64_t step) const {
  const OptimizerConfig& o = config_.optimizer;
  return {.adamw = {.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps},
          .lr = lr_at(step, size_.steps, o),
          .step = step + 1 - scaling_.skipped,
          .weight_decay = o.weight_decay,
          .clip = o.clip};
}

void Trainer::queue_rest(std::int64_t step, const UpdateSettings& settings) {
  if (!at_once()) return queue_update(settings);
  if (!captured_)
    captured_ = device_.backend().capture([&] {
      queue_micro_batches(step);
      queue_update(settings);
    });
  captured_->queue();
}

void Trainer::queue_update(const UpdateSettings& settings) {
  const Program program(device_, "update");
  const Scope scope(device_, "update");
  optimizer_.replay(settings);
  copy(losses_, read_losses_);
  copy(optimizer_.grad_norm(), read_norm_);
  if (read_scale_.defined()) copy(optimizer_.loss_scale(), read_scale_);
}

HeldOut Trainer::rehearsed_evaluation() const {
  return {.count = std::ssize(inputs_.shapes),
          .next = {},
          .shape_of = [this](std::int64_t i) -> const BatchShape& {
            return inputs_.shapes[static_cast<std::size_t>(i)];
          }};
}

Evaluation Trainer::evaluate(const HeldOut& data) {
  const auto loss_of = [this](const BatchShape& shape, const std::function<Batch()>& batch) {
    const Tensor loss = pipeline_.evaluate(shape, batch);
    return counts_loss() ? loss : Tensor();
  };
  StagedBatch batch(device_);
  return fusor::evaluate(loss_of, model_->measures().size(), data, batch, mesh_.world, device_);
}

}  // namespace fusor
