#include "benchmarks/device_work.h"

#include <string>

#include "benchmarks/compare.h"
#include "runtime/copy.h"

namespace fusor::benchmark {
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

DeviceWork::DeviceWork(const Make& make, DeviceKind kind, int times) : times_(times) {
  Trace trace;
  {
    const Device meta = Device::meta(trace, kind);
    const std::vector<Work> works = make(meta);
    for (std::size_t i = 0; i < works.size(); ++i) run_once(meta, i, works[i]);
    costs_ = costs_of(trace, works.size());
  }
  const MemoryPlan plan = plan_memory(trace);
  device_ = kind == DeviceKind::cuda ? Device::cuda(0, plan) : Device::arena(plan);
  works_ = make(device_);
  for (std::size_t i = 0; i < works_.size(); ++i) {
    run_once(device_, i, works_[i]);  // what is made once is made now
    synchronize(device_);
    if (kind == DeviceKind::cuda) captured_.push_back(device_.backend().capture([&] { queue(i); }));
  }
}

void DeviceWork::queue(std::size_t i) const {
  for (int n = 0; n < times_; ++n) run_once(device_, i, works_[i]);
}

double DeviceWork::seconds(std::size_t i) const {
  return seconds_of([&] {
           captured_.empty() ? queue(i) : captured_[i]->queue();
           synchronize(device_);
         }) /
         times_;
}

}  // namespace fusor::benchmark
