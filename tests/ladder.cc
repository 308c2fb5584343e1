#include "tests/ladder.h"

#include <omp.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "runtime/memory_plan.h"
#include "tests/near.h"

namespace fusor::ladder {
namespace {

// How far a result may be from its reference, as a fraction of the reference's largest element.
struct Tolerance {
  double value, gradient;
};
constexpr Tolerance kFiniteDifferences{0, 1e-9};
constexpr Tolerance kF32{3e-6, 1e-5};   // against f64
constexpr Tolerance kBf16{1e-2, 2e-2};  // against f32, of inputs that bf16 holds exactly
constexpr Tolerance kTwice{1e-15, 1e-15};
constexpr Tolerance kSameBits{0, 0};

constexpr std::uint64_t kCotangentSeed = 99;
constexpr std::int64_t kProbes = 24;  // elements of an operand that are moved to take a difference

// The operands of a case as f64 and i32 host tensors.
using Inputs = std::vector<Tensor>;

Inputs draw(const Case& c) {
  Inputs in;
  for (const Operand& o : c.operands)
    in.push_back(o.role == Role::ids ? noise_ids(o.shape, o.bound, in.size())
                                     : noise(o.shape, DType::f64, in.size()));
  return in;
}

Inputs rounded_to_bf16(const Inputs& in) {
  Inputs out;
  for (const Tensor& t : in)
    out.push_back(t.dtype() == DType::i32 ? t : cast(cast(t, DType::bf16), DType::f64));
  return out;
}

// What came out, as f64 host tensors. Gradients are in the order of the operands that have one.
struct Outcome {
  Tensor y;
  std::vector<Tensor> gradients;
};

std::vector<Var> leaves(const Case& c, const Inputs& in, DType dtype, const Device& device,
                        Tape* tape) {
  std::vector<Var> vars;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const Role role = c.operands[i].role;
    const Tensor value = cast(in[i], role == Role::ids ? DType::i32 : dtype, device);
    vars.push_back(role == Role::parameter
                       ? Var::parameter(value, Tensor(value.shape(), acc_dtype(dtype), device))
                       : Var::input(value, tape, role == Role::activation));
  }
  return vars;
}

enum class Walk { whole, weights_later, recomputed };

// The case's op, run again in backward.
Var recomputed(const Case& c, const std::vector<Var>& vars) {
  std::vector<Var> inputs;
  for (std::size_t i = 0; i < vars.size(); ++i)
    if (c.operands[i].role == Role::activation) inputs.push_back(vars[i]);
  return Tape::recompute(inputs, [&c, vars](const std::vector<Var>& again) {
    std::vector<Var> operands = vars;
    for (std::size_t i = 0, next = 0; i < vars.size(); ++i)
      if (c.operands[i].role == Role::activation) operands[i] = again[next++];
    return c.op(operands);
  });
}

// Forward and backward with a random cotangent, `times` times into the same gradients.
Outcome play(const Case& c, const Inputs& in, DType dtype,
             const Device& device = Device::heap(/*poison=*/true), int times = 1,
             Walk walk = Walk::whole) {
  Outcome out;
  const Program program(device, "case");
  Tape tape;
  const std::vector<Var> vars = leaves(c, in, dtype, device, &tape);
  for (int i = 0; i < times; ++i) {
    const Var y = walk == Walk::recomputed ? recomputed(c, vars) : c.op(vars);
    out.y = cast(y.value(), DType::f64);
    const Tensor dy = cast(noise(y.shape(), DType::f64, kCotangentSeed), y.value().dtype(), device);
    if (walk == Walk::whole) {
      tape.backward(y, dy);
    } else {
      tape.backward_inputs({{y.grad(), dy}});
      tape.backward_weights();
    }
  }
  for (const Var& v : vars)
    if (v.grad().wanted()) {
      const Tensor g = v.grad().tensor();
      out.gradients.push_back(g.defined() ? cast(g, DType::f64) : Tensor());
    }
  return out;
}

class Findings {
 public:
  explicit Findings(std::vector<std::string>& list) : list_(list) {}
  template <class... Ts>
  void expect(bool ok, const Ts&... what) {
    if (ok) return;
    std::ostringstream text;
    (text << ... << what);
    list_.push_back(text.str());
  }
  void expect_near(const char* rung, const Outcome& got, const Outcome& want, Tolerance tolerance) {
    const double d = distance(got.y, want.y);
    expect(d <= tolerance.value, rung, ": value off by ", d);
    for (std::size_t i = 0; i < want.gradients.size(); ++i)
      expect_near(rung, i, got.gradients[i], want.gradients[i], tolerance.gradient);
  }
  void expect_near(const char* rung, std::size_t i, const Tensor& got, const Tensor& want,
                   double tolerance) {
    const double d = got.defined() ? distance(got, want) : INFINITY;
    expect(d <= tolerance, rung, ": gradient ", i, " off by ", d);
  }

 private:
  std::vector<std::string>& list_;
};

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
  const Inputs in = draw(c), coarse = rounded_to_bf16(in);
  findings.expect_near("f32 against f64", play(c, in, DType::f32), play(c, in, DType::f64), kF32);
  findings.expect_near("bf16 against f32", play(c, coarse, DType::bf16),
                       play(c, coarse, DType::f32), kBf16);
}

void check_accumulation(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  const Outcome once = play(c, in, DType::f64);
  for (const Tensor& g : once.gradients) {
    const std::span<double> d = g.host<double>();
    std::ranges::transform(d, d.begin(), [](double x) { return 2 * x; });
  }
  const Outcome twice = play(c, in, DType::f64, Device::heap(true), 2);
  findings.expect_near("two backward passes against twice one", twice, once, kTwice);
}

void check_walks(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  const Device heap = Device::heap(/*poison=*/true);
  const Outcome whole = play(c, in, DType::f32);
  findings.expect_near("weights after inputs",
                       play(c, in, DType::f32, heap, 1, Walk::weights_later), whole, kSameBits);
  findings.expect_near("recomputed", play(c, in, DType::f32, heap, 1, Walk::recomputed), whole,
                       kSameBits);
}

// The arena refuses any allocation that the rehearsal did not make in the same order and size.
void check_rehearsal(const Case& c, Findings& findings) {
  const Inputs in = draw(c);
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    Trace trace;
    const Outcome rehearsed = play(c, in, dtype, Device::meta(trace));
    for (const TraceEvent& event : trace.events)
      if (const auto* op = std::get_if<OpEvent>(&event))
        findings.expect(op->cost.bytes > 0 && op->cost.flops >= 0, "meta: ", op->op, " costs ",
                        op->cost.flops, " flops and ", op->cost.bytes, " bytes");
    const Outcome want = play(c, in, dtype);
    findings.expect(rehearsed.y.shape() == want.y.shape(), "meta: shape ", rehearsed.y.shape(),
                    " where the run has ", want.y.shape());
    findings.expect_near("arena against heap",
                         play(c, in, dtype, Device::arena(plan_memory(trace))), want, kSameBits);
  }
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
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const Outcome one = play(c, in, dtype);
    const Threads two(2);
    findings.expect_near("two threads against one", play(c, in, dtype), one, kSameBits);
  }
}

constexpr void (*kRungs[])(const Case&, Findings&) = {check_finite_differences, check_dtypes,
                                                      check_accumulation,       check_walks,
                                                      check_rehearsal,          check_threads};

}  // namespace

std::vector<std::string> complaints(const Case& c) {
  std::vector<std::string> list;
  Findings findings(list);
  const Threads one(1);  // forks cost the more the fewer cores are free
  for (const auto& rung : kRungs) try {
      rung(c, findings);
    } catch (const std::exception& error) {
      list.emplace_back(error.what());
    }
  return list;
}

}  // namespace fusor::ladder
