#include "launch/rehearsal.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "launch/sampler.h"
#include "launch/trainer.h"
#include "models/gpt.h"
#include "ops/add.h"
#include "ops/fill.h"
#include "ops/gemm.h"

namespace fusor {
namespace {

// The best of a few runs: what the machine can do, not what it was doing.
template <class F>
double best_seconds(F&& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  const auto stop = Clock::now() + std::chrono::milliseconds(40);
  for (int run = 0; run < 3 || Clock::now() < stop; ++run) {
    const auto begin = Clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

Rehearsal rehearse(const Config& config, const RunSize& size, int rank) {
  Rehearsal r;
  {
    const Device meta = Device::meta(r.trace);
    const Mesh mesh = Mesh::over(meta_group(r.trace, rank, size.mesh.size(), "world"), size.mesh,
                                 config.parallel.sequence);
    Gpt model(config.model, mesh);
    Trainer trainer(model, config, size, mesh, meta);
    const Sampler sampler(config, model, meta);
    trainer.accumulate(0, {});
    trainer.update(0, {0, 0});
    if (config.train.eval_every > 0) trainer.evaluate(1, {});
    sampler.rehearse();
    r.memory = plan_memory(r.trace);
  }
  r.ledger = make_ledger(r.trace, r.memory);
  return r;
}

MachineRates measure_machine(DType dtype) {
  constexpr std::int64_t kSide = 768, kStream = 1 << 23;
  const Tensor a({kSide, kSide}, dtype), b({kSide, kSide}, dtype), c({kSide, kSide}, dtype);
  ops::fill(a, 1), ops::fill(b, 1);
  const Tensor from({kStream}, DType::f32), to({kStream}, DType::f32);
  ops::fill(from, 1);
  const double product = best_seconds([&] { ops::gemm_nt(a, b, {}, c); });
  const double copy = best_seconds([&] { ops::add_into(to, from, false); });
  return {.flops_per_second = 2.0 * kSide * kSide * kSide / product,
          .bytes_per_second = 2.0 * static_cast<double>(from.bytes()) / copy};
}

double estimate_step_seconds(const Trace& trace, const MachineRates& rates) {
  std::map<std::string, double> seconds_of;  // by program, of its last run so far
  double seconds = 0;
  double* program = nullptr;
  for (const TraceEvent& event : trace.events) {
    if (const auto* p = std::get_if<ProgramEvent>(&event)) {
      const bool in_step = p->name != "eval" && !p->name.starts_with("sample");
      if (!p->begin && program) seconds += *program;
      program = p->begin && in_step ? &seconds_of[p->name] : nullptr;
      if (program) *program = 0;
    } else if (const auto* again = std::get_if<RepeatEvent>(&event)) {
      seconds += seconds_of[again->name];
    } else if (const auto* op = std::get_if<OpEvent>(&event); op && program) {
      *program += std::max(op->cost.flops / rates.flops_per_second,
                           op->cost.bytes / rates.bytes_per_second);
    }
  }
  return seconds;
}

}  // namespace fusor
