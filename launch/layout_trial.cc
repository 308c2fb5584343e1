#include "launch/layout_trial.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "launch/device_group.h"
#include "runtime/copy.h"

namespace fusor {
namespace {

// Copies a rank's part of a tensor to its place in the whole.
void place(const StateBox& part, WholeTensors& all) {
  const TensorBox& box = part.box;
  Tensor& whole = all.try_emplace(box.name, box.global, box.dtype).first->second;
  const Tensor mine = on_host(part.tensor);
  const auto size = static_cast<std::size_t>(size_of(box.dtype));
  for_each_common_run(box.begin, box.shape, Shape(box.global.size(), 0), box.global,
                      [&](std::int64_t from, std::int64_t to, std::int64_t count) {
                        std::copy_n(mine.raw() + static_cast<std::size_t>(from) * size,
                                    static_cast<std::size_t>(count) * size,
                                    whole.raw() + static_cast<std::size_t>(to) * size);
                      });
}

class Rank {
 public:
  Rank(const Trial& trial, const World& world, TrialOutcome& outcome, std::mutex& mutex)
      : trial_(trial), world_(world), outcome_(outcome), mutex_(mutex) {}

  void run() {
    omp_set_num_threads(trial_.threads);
    const RunSize size = run_size(trial_.config, trial_.ranks);
    const Device device =
        trial_.make_device ? trial_.make_device(size, world_.rank()) : Device::heap();
    const ParallelConfig& parallel = trial_.config.parallel;
    const Mesh mesh =
        Mesh::over(device_group(world_, device, parallel.transport), size.mesh, parallel.sequence);
    Trainer trainer(*trial_.task, trial_.config, size, mesh, device);
    trial_.begin ? trial_.begin(trainer, world_) : trainer.initialize();
    const BatchSource batches = trainer.reads_batch()
                                    ? trial_.task->training(size, mesh, trial_.first_step)
                                    : BatchSource();
    for (std::int64_t i = 0; i < trial_.steps; ++i) one_step(trainer, i, batches);
    if (trial_.end) trial_.end(trainer, world_);
    const std::scoped_lock lock(mutex_);
    for (const ParameterStore* store : trainer.stores())
      for (const StateBox& part : store->share_of_state(/*optimizer=*/true))
        place(part, outcome_.state);
  }

 private:
  void one_step(Trainer& trainer, std::int64_t i, const BatchSource& batches) {
    trainer.accumulate(trial_.first_step + i, batches);
    const Trainer::Step step = trainer.update(trial_.first_step + i, {});
    const std::scoped_lock lock(mutex_);
    if (world_.rank() == 0) {
      outcome_.losses.push_back(step.loss);
      outcome_.grad_norms.push_back(step.grad_norm);
    }
    if (i > 0) return;
    for (const ParameterStore* store : trainer.stores())
      for (const StateBox& part : store->gradients()) place(part, outcome_.gradients);
  }

  const Trial& trial_;
  const World& world_;
  TrialOutcome& outcome_;
  std::mutex& mutex_;
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
}

// Infinite where one is not a number and the other is.
double apart(double a, double b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  return std::isfinite(a - b) ? std::abs(a - b) : a == b ? 0 : INFINITY;
}

// The elements of a tensor of an accumulation dtype.
std::vector<double> numbers(const Tensor& t) {
  if (t.dtype() == DType::f64) return {t.host<double>().begin(), t.host<double>().end()};
  return {t.host<float>().begin(), t.host<float>().end()};
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  return most;
}

double largest_apart(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < b.size(); ++i) most = std::max(most, apart(a[i], b[i]));
  return most;
}

double norm_of(const WholeTensors& tensors) {
  double squares = 0;
  for (const auto& [name, tensor] : tensors)
    for (const double x : numbers(tensor)) squares += x * x;
  return std::sqrt(squares);
}

}  // namespace

TrialOutcome run_trial(const Trial& trial) {
  TrialOutcome outcome;
  std::mutex mutex;
  run_ranks(trial.ranks, [&](World& world) { Rank(trial, world, outcome, mutex).run(); });
  return outcome;
}

TrialDifference difference(const TrialOutcome& many, const TrialOutcome& one) {
  TrialDifference d;
  d.same_bits = many.losses == one.losses && many.grad_norms == one.grad_norms;
  for (std::size_t i = 0; i < one.losses.size(); ++i)
    d.loss = std::max(d.loss, apart(many.losses[i], one.losses[i]) / std::abs(one.losses[i]));
  const double least = norm_of(one.gradients) / 100;
  for (const auto& [name, want] : one.gradients) {
    const Tensor& got = many.gradients.at(name);
    d.same_bits = d.same_bits && same_bits(got, want);
    const double far = largest_apart(numbers(got), numbers(want));
    const double relative = far > 0 ? far / std::max(largest(numbers(want)), least) : 0;
    if (!(relative > d.gradient)) continue;
    d.gradient = relative;
    d.parameter = name.substr(name.find('/') + 1);
  }
  return d;
}

double rounding_of(DType dtype) {
  if (dtype == DType::f64) return 1e-10;
  return dtype == DType::f32 ? 1e-4 : 5e-2;
}

Verdict verdict_of(const TrialDifference& d, DType dtype) {
  if (d.same_bits) return Verdict::same_bits;
  return std::max(d.loss, d.gradient) <= rounding_of(dtype) ? Verdict::within_rounding
                                                            : Verdict::differs;
}

std::string_view text_of(Verdict verdict) {
  if (verdict == Verdict::same_bits) return "same bits";
  return verdict == Verdict::differs ? "DIFFERS" : "within rounding";
}

}  // namespace fusor
