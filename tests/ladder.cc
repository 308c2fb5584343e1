#include "tests/ladder.h"

#include <omp.h>

#include <algorithm>
#include <numeric>

#include "tests/rungs.h"

namespace fusor::ladder {
namespace {

constexpr std::int64_t kProbes = 24;  // elements of an operand that are moved to take a difference

// <op(in), cotangent>: the scalar whose gradient `play` takes.
double scalar(const Case& c, const Inputs& in, const Tensor& cotangent) {
  const Tensor y = c.op(leaves(c, in, DType::f64, Device(), nullptr)).value();
  const auto a = y.host<double>(), b = cotangent.host<double>();
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// d scalar / d in[operand][i], to the fourth order of the step.
double difference(const Case& c, const Inputs& in, const Tensor& cotangent, std::size_t operand,
                  std::int64_t i) {
  constexpr double kStep = 1e-3;
  const auto moved = [&](double steps) {
    Inputs there = in;
    there[operand] = cast(in[operand], DType::f64);
    set(there[operand], i, at(in[operand], i) + steps * kStep);
    return scalar(c, there, cotangent);
  };
  return (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * kStep);
}

void check_finite_differences(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  const Outcome got = play(c, in, DType::f64);
  const Tensor cotangent = noise(got.y.shape(), DType::f64, kCotangentSeed);
  for (std::size_t operand = 0, g = 0; operand < in.size(); ++operand) {
    if (c.operands[operand].role == Role::ids) continue;
    const Tensor& gradient = got.gradients[g++];
    findings.expect(gradient.defined(), "f64: operand ", operand, " has no gradient");
    if (!gradient.defined()) continue;
    const std::int64_t size = in[operand].size(), probes = std::min(size, kProbes);
    const Tensor a({probes}, DType::f64), b({probes}, DType::f64);
    for (std::int64_t p = 0; p < probes; ++p) {
      const std::int64_t i = probes == 1 ? 0 : p * (size - 1) / (probes - 1);
      set(a, p, at(gradient, i));
      set(b, p, difference(c, in, cotangent, operand, i));
    }
    findings.expect_near("f64 against finite differences", g - 1, a, b,
                         kFiniteDifferences.gradient);
  }
}

void check_dtypes(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  findings.expect_near("f32 against f64", play(c, in, DType::f32), play(c, in, DType::f64), kF32);
  for (const auto& [half, tolerance] : kHalves) {
    const Inputs coarse = rounded(in, half);
    findings.expect_near(half == DType::bf16 ? "bf16 against f32" : "f16 against f32",
                         play(c, coarse, half), play(c, coarse, DType::f32), tolerance);
  }
}

Device poisoned() { return Device::heap(/*poison=*/true); }
void check_accumulation(const Case& c, Findings& findings) {
  check_accumulation(c, poisoned, findings);
}
void check_walks(const Case& c, Findings& findings) { check_walks(c, poisoned, findings); }
void check_inference(const Case& c, Findings& findings) { check_inference(c, poisoned, findings); }
void check_rehearsal(const Case& c, Findings& findings) {
  check_rehearsal(c, poisoned, DeviceKind::cpu, Device::arena, findings);
}

// Sets the number of threads for as long as it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

void check_threads(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  for (const DType dtype : kDTypes) {
    const Outcome one = play(c, in, dtype);
    const Threads two(2);
    findings.expect_near("two threads against one", play(c, in, dtype), one,
                         c.sums_by_threads ? kF32 : kSameBits);
  }
}

}  // namespace

std::vector<std::string> complaints(const Case& c) {
  const Threads one(1);  // forks cost the more the fewer cores are free
  return climb(c, {check_finite_differences, check_dtypes, check_accumulation, check_walks,
                   check_inference, check_rehearsal, check_threads});
}

}  // namespace fusor::ladder
