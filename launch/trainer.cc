#include "launch/trainer.h"

#include "launch/lr_schedule.h"
#include "launch/stages.h"
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

std::string reason_not_to_capture(const Config& config, const Device& device, bool talks) {
  if (device.kind() != DeviceKind::cuda) return "operators run at the call";
  if (!config.train.cuda_graph) return "train.cuda_graph is off";
  if (talks) return "ranks exchange values within a step";
  return config.log.trace.empty() ? "" : "log.trace shows each operator";
}

}  // namespace

Trainer::Trainer(Model& model, const Config& config, const RunSize& size, const Mesh& mesh,
                 const Device& device)
    : config_(config),
      size_(size),
      mesh_(mesh),
      device_(device),
      pipeline_(model, stage_layout(model, config, size), store_options(config, size),
                {config.parallel.recompute, static_cast<int>(config.parallel.recompute_layers)},
                mesh, device),
      optimizer_(pipeline_.stores(), mesh, device) {
  const Scope scope(device, "trainer");
  losses_ = Tensor({size.accumulation}, DType::f64, device);
  step_ = Tensor({1}, DType::i64, device);
  const Device host = Device::staging(device);
  prepared_step_ = Tensor({1}, DType::i64, host);
  read_losses_ = Tensor(losses_.shape(), DType::f64, host);
  read_norm_ = Tensor({1}, DType::f64, host);
  for (std::int64_t i = 0; i < size.accumulation && reads_batch(); ++i)
    batches_.emplace_back(micro_shape(), config.model.vocab_size, device);
  for (const Group& group :
       {mesh.tp, mesh.cp, mesh.pp, mesh.ep, mesh.data, mesh.shard, mesh.replicas, mesh.expert_data})
    if (group.size() > 1) talking_.push_back(group);
  why_not_captured_ = reason_not_to_capture(config, device, !talking_.empty());
  if (talking_.empty()) return;
  device.backend().progress = call_progress;
  device.backend().progress_arg = this;
}

// The device may outlive the mesh.
Trainer::~Trainer() { device_.backend().progress = nullptr; }

void Trainer::call_progress(void* trainer) {
  for (const Group& group : static_cast<Trainer*>(trainer)->talking_) group->progress();
}

void Trainer::initialize() {
  for (const ParameterStore* store : stores())
    store->initialize(static_cast<std::uint64_t>(config_.train.seed));
}

MicroShape Trainer::micro_shape() const {
  return {size_.micro_batch, RowMap::zigzag(0, size_.seq_len, mesh_.place.cp, mesh_.shape.cp)};
}

void Trainer::accumulate(std::int64_t step, const BatchSource& next) {
  prepare(step, next);
  if (!at_once()) queue_micro_batches();
}

void Trainer::prepare(std::int64_t step, const BatchSource& next) {
  prepared_step_.host<std::int64_t>()[0] = step;
  targets_ = 0;
  if (!next) return;
  for (StagedBatch& batch : batches_) {
    batch.fill(next);
    if (counts_loss()) targets_ += batch.num_targets();
  }
}

void Trainer::queue_micro_batches() {
  copy(prepared_step_, step_);
  auto batch = batches_.begin();
  pipeline_.run({.pass = {.training = true,
                          .seed = static_cast<std::uint64_t>(config_.train.seed),
                          .step = step_,
                          .first_sample = first_micro() * size_.micro_batch},
                 .shape = {{}, {}, size_.micro_batch, size_.seq_len},
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
  queue_rest(settings);
  synchronize(device_);
  ++steps_;
  result.loss = sum_of_losses() / static_cast<double>(result.targets);
  if (!rehearsal) result.grad_norm = read_norm_.host<double>()[0];
  return result;
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
          .step = step + 1,
          .weight_decay = o.weight_decay,
          .clip = o.clip};
}

void Trainer::queue_rest(const UpdateSettings& settings) {
  if (!at_once()) return queue_update(settings);
  if (!captured_)
    captured_ = device_.backend().capture([&] {
      queue_micro_batches();
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
}

Evaluation Trainer::evaluate(std::int64_t count, const BatchSource& next) {
  const auto loss_of = [this](const std::function<TokenBatch()>& batch) {
    const Tensor loss = pipeline_.evaluate(batch);
    return counts_loss() ? loss : Tensor();
  };
  StagedBatch batch(micro_shape(), config_.model.vocab_size, device_);
  return fusor::evaluate(loss_of, count, next, batch, mesh_.world, device_);
}

double flops_per_token(const GptConfig& config, std::int64_t seq_len) {
  return 6 * static_cast<double>(num_active_parameters(config)) +
         6 * static_cast<double>(config.layers * config.width * seq_len);
}

}  // namespace fusor
