#include "launch/device_work.h"

#include <chrono>
#include <string>

#include "runtime/copy.h"

namespace fusor {
namespace {

std::string name_of(std::size_t i) { return "work " + std::to_string(i); }

// Of the programs "work 0", "work 1", ...
std::vector<Cost> costs_of(const Trace& trace, std::size_t works) {
  std::vector<Cost> costs(works);
  std::size_t next = 0;
  bool inside = false;
  for (const TraceEvent& event : trace.events) {
    if (const auto* program = std::get_if<ProgramEvent>(&event)) {
      inside = program->begin;
      next += inside ? 0 : 1;
    }
    const auto* op = std::get_if<OpEvent>(&event);
    if (op && inside) costs[next].flops += op->cost.flops, costs[next].bytes += op->cost.bytes;
  }
  return costs;
}

void run_once(const Device& device, std::size_t i, const Work& work) {
  const Program program(device, name_of(i));
  work();
}

}  // namespace

DeviceWork::DeviceWork(const Make& make, const Placement& placement, std::int64_t times)
    : times_(times) {
  Trace trace;
  {
    const Device meta = Device::meta(trace, placement.kind());
    const std::vector<Work> works = make(meta);
    for (std::size_t i = 0; i < works.size(); ++i) run_once(meta, i, works[i]);
    costs_ = costs_of(trace, works.size());
  }
  device_ = placement.arena(plan_memory(trace));
  works_ = make(device_);
  for (std::size_t i = 0; i < works_.size(); ++i) {
    run_once(device_, i, works_[i]);  // what is made once is made now
    synchronize(device_);
    if (placement.kind() == DeviceKind::cuda)
      captured_.push_back(device_.backend().capture([&] { queue(i); }));
  }
}

void DeviceWork::queue(std::size_t i) const {
  for (std::int64_t n = 0; n < times_; ++n) run_once(device_, i, works_[i]);
}

double DeviceWork::seconds(std::size_t i) const {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  captured_.empty() ? queue(i) : captured_[i]->queue();
  synchronize(device_);
  return std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(times_);
}

}  // namespace fusor
