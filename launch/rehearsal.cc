#include "launch/rehearsal.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "launch/trainer.h"
#include "ops/add.h"
#include "ops/fill.h"
#include "ops/gemm.h"
#include "runtime/copy.h"

namespace fusor {
namespace {

// The best of a few runs: what the machine can do, not what it was doing.
template <class F>
double best_seconds(const Device& device, F&& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto stop = Clock::now() + std::chrono::milliseconds(40);
  for (int run = 0; run < 3 || Clock::now() < stop; ++run) {
    synchronize(device);
    const auto begin = Clock::now();
    f();
    synchronize(device);
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

// The first size, doubled up to `most`, that takes long enough for what surrounds an operator not
// to count, and its seconds.
template <class F>
std::pair<std::int64_t, double> of_long_run(F&& seconds_of, std::int64_t size, std::int64_t most) {
  constexpr double kLong = 5e-3;
  double seconds = seconds_of(size);
  while (seconds < kLong && size < most) seconds = seconds_of(size *= 2);
  return {size, seconds};
}

// The sum of `of` over the operators of steps, repeated programs as often as they run.
template <class F>
double sum_over_steps(const Trace& trace, F&& of) {
  std::map<std::string, double> sum_of;  // by program, of its last run so far
  double sum = 0;
  double* program = nullptr;
  for (const TraceEvent& event : trace.events) {
    if (const auto* p = std::get_if<ProgramEvent>(&event)) {
      const bool in_step = !p->name.starts_with("eval") && !p->name.starts_with("sample");
      if (!p->begin && program) sum += *program;
      program = p->begin && in_step ? &sum_of[p->name] : nullptr;
      if (program) *program = 0;
    } else if (const auto* again = std::get_if<RepeatEvent>(&event)) {
      sum += sum_of[again->name];
    } else if (const auto* op = std::get_if<OpEvent>(&event); op && program) {
      *program += of(op->cost);
    }
  }
  return sum;
}

}  // namespace

Rehearsal rehearse(const Task& task, const Config& config, const RunSize& size, int rank) {
  Rehearsal r;
  {
    const bool cuda = config.train.device == TrainDevice::cuda;
    const Device meta = Device::meta(r.trace, cuda ? DeviceKind::cuda : DeviceKind::cpu);
    const Mesh mesh = Mesh::over(meta_group(r.trace, rank, size.mesh.size(), "world"), size.mesh,
                                 config.parallel.sequence);
    Trainer trainer(task, config, size, mesh, meta);
    const std::unique_ptr<Sampler> sampler = task.sampler(trainer.model(), meta);
    r.steps = static_cast<int>(trainer.num_shapes());
    for (std::size_t shape = 0; shape < trainer.num_shapes(); ++shape) {
      trainer.rehearse_shape(shape);
      trainer.accumulate(0, {});
      trainer.update(0, {0, 0});
    }
    if (config.train.eval_every > 0) trainer.evaluate(trainer.rehearsed_evaluation());
    if (sampler) sampler->rehearse();
    r.memory = plan_memory(r.trace);
  }
  r.ledger = make_ledger(r.trace, r.memory);
  return r;
}

Rehearsal rehearse(const Config& config, const RunSize& size, int rank) {
  return rehearse(*make_task(config), config, size, rank);
}

MachineRates measure_machine(DType dtype, const Device& device) {
  const auto product = [&](std::int64_t side) {
    const Tensor a({side, side}, dtype, device), b({side, side}, dtype, device),
        c({side, side}, dtype, device);
    ops::fill(a, 1), ops::fill(b, 1);
    return best_seconds(device, [&] { ops::gemm_nt(a, b, {}, c); });
  };
  const auto copy = [&](std::int64_t floats) {
    const Tensor from({floats}, DType::f32, device), to({floats}, DType::f32, device);
    ops::fill(from, 1);
    return best_seconds(device, [&] { ops::add_into(to, from, false); });
  };
  const bool gpu = device.kind() == DeviceKind::cuda;
  const auto [side, side_seconds] =
      gpu ? of_long_run(product, 256, 16384) : of_long_run(product, 768, 768);
  const auto [floats, copy_seconds] =
      gpu ? of_long_run(copy, 1 << 16, 1 << 27) : of_long_run(copy, 1 << 23, 1 << 23);
  return {.flops_per_second = 2.0 * std::pow(static_cast<double>(side), 3) / side_seconds,
          .bytes_per_second = 2.0 * static_cast<double>(floats) * sizeof(float) / copy_seconds};
}

double flops_of_steps(const Trace& trace) {
  return sum_over_steps(trace, [](const Cost& cost) { return cost.flops; });
}

double estimate_step_seconds(const Trace& trace, const MachineRates& rates) {
  return sum_over_steps(trace, [&](const Cost& cost) {
    return std::max(cost.flops / rates.flops_per_second, cost.bytes / rates.bytes_per_second);
  });
}

}  // namespace fusor
