#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "launch/placement.h"
#include "runtime/memory_plan.h"

// Pieces of work on one device, timed as a training step runs them: in memory that was planned
// before, and on a GPU as CUDA graphs, so that the time to issue them is not in the figures.
namespace fusor {

using Work = std::function<void()>;  // queued many times

class DeviceWork {
 public:
  // make(device) puts operands there and returns the pieces of work on them. It is called twice:
  // first on meta, which counts their cost and plans their memory. `times`: how often each is
  // queued in a row.
  using Make = std::function<std::vector<Work>(const Device&)>;
  DeviceWork(const Make&, const Placement&, std::int64_t times);

  std::size_t size() const { return works_.size(); }
  const Cost& cost(std::size_t i) const { return costs_[i]; }
  double seconds(std::size_t i) const;  // of one run, measured now

 private:
  void queue(std::size_t i) const;

  std::int64_t times_;
  std::vector<Cost> costs_;
  Device device_;
  std::vector<Work> works_;
  std::vector<std::unique_ptr<Captured>> captured_;  // on a GPU
};

}  // namespace fusor
