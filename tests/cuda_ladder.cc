#include "runtime/memory_plan.h"
#include "tests/another_order.h"
#include "tests/ladder.h"
#include "tests/rungs.h"

namespace fusor::ladder {
namespace {

Device poisoned() { return Device::cuda(0, /*poison=*/true); }

void check_dtypes(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  const Outcome f64 = play(c, in, DType::f64);
  findings.expect_near("CUDA's f64", play(c, in, DType::f64, poisoned()), f64, kF64);
  findings.expect_near("CUDA's f32", play(c, in, DType::f32, poisoned()), f64, kF32);
  for (const auto& [half, tolerance] : kHalves) {
    const Inputs coarse = rounded(in, half);
    findings.expect_near(half == DType::bf16 ? "CUDA's bf16" : "CUDA's f16",
                         play(c, coarse, half, poisoned()), play(c, coarse, DType::f32), tolerance);
  }
}

void check_accumulation(const Case& c, Findings& findings) {
  check_accumulation(c, poisoned, findings);
}
void check_walks(const Case& c, Findings& findings) { check_walks(c, poisoned, findings); }
void check_inference(const Case& c, Findings& findings) { check_inference(c, poisoned, findings); }
void check_rehearsal(const Case& c, Findings& findings) {
  check_rehearsal(
      c, poisoned, DeviceKind::cuda, [](const MemoryPlan& plan) { return Device::cuda(0, plan); },
      findings);
}

void check_order(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  for (const DType dtype : kDTypes) {
    const Outcome first = play(c, in, dtype, poisoned());
    const AnotherOrder order;
    findings.expect_near("in another order of threads", play(c, in, dtype, poisoned()), first,
                         kSameBits);
  }
}

}  // namespace

std::vector<std::string> complaints_on_cuda(const Case& c) {
  return climb(c, {check_dtypes, check_accumulation, check_walks, check_inference, check_rehearsal,
                   check_order});
}

}  // namespace fusor::ladder
