#include "tests/rungs.h"

#include <algorithm>

#include "runtime/memory_plan.h"

namespace fusor::ladder {

Inputs draw(const Case& c) {
  Inputs in;
  for (const Operand& o : c.operands)
    in.push_back(o.role == Role::ids ? noise_ids(o.shape, o.bound, in.size())
                                     : noise(o.shape, DType::f64, in.size()));
  return in;
}

Inputs rounded(const Inputs& in, DType dtype) {
  Inputs out;
  for (const Tensor& t : in)
    out.push_back(t.dtype() == DType::i32 ? t : cast(cast(t, dtype), DType::f64));
  return out;
}

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

namespace {

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

}  // namespace

Outcome play(const Case& c, const Inputs& in, DType dtype, const Device& device, int times,
             Walk walk) {
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

std::vector<std::string> climb(const Case& c, const std::vector<Rung>& rungs) {
  std::vector<std::string> list;
  Findings findings(list);
  for (const Rung& rung : rungs) try {
      rung(c, findings);
    } catch (const std::exception& error) {
      list.emplace_back(error.what());
    }
  return list;
}

void check_accumulation(const Case& c, const Fresh& fresh, Findings& findings) {
  const Inputs in = draw(c);
  const Outcome once = play(c, in, DType::f64, fresh());
  for (const Tensor& g : once.gradients) {
    const std::span<double> d = g.host<double>();
    std::ranges::transform(d, d.begin(), [](double x) { return 2 * x; });
  }
  const Outcome twice = play(c, in, DType::f64, fresh(), 2);
  findings.expect_near("two backward passes against twice one", twice, once, kTwice);
}

void check_walks(const Case& c, const Fresh& fresh, Findings& findings) {
  const Inputs in = draw(c);
  const Device device = fresh();
  const Outcome whole = play(c, in, DType::f32, device);
  findings.expect_near("weights after inputs",
                       play(c, in, DType::f32, device, 1, Walk::weights_later), whole, kSameBits);
  findings.expect_near("recomputed", play(c, in, DType::f32, device, 1, Walk::recomputed), whole,
                       kSameBits);
}

// Operators may be fused where nothing is recorded.
void check_inference(const Case& c, const Fresh& fresh, Findings& findings) {
  const Inputs in = draw(c);
  for (const auto& [dtype, tolerance] :
       {std::pair(DType::f64, kF64), std::pair(DType::f32, kF32), kHalves[0], kHalves[1]}) {
    const Device device = fresh();
    const Tensor y = c.op(leaves(c, in, dtype, device, nullptr)).value();
    const double d = distance(cast(y, DType::f64), play(c, in, dtype, device).y);
    findings.expect(d <= tolerance.value, dtype, " without a tape: value off by ", d);
  }
}

void check_rehearsal(const Case& c, const Fresh& fresh, DeviceKind like,
                     const std::function<Device(const MemoryPlan&)>& planned, Findings& findings) {
  const Inputs in = draw(c);
  for (const DType dtype : kDTypes) {
    Trace trace;
    const Outcome rehearsed = play(c, in, dtype, Device::meta(trace, like));
    for (const TraceEvent& event : trace.events)
      if (const auto* op = std::get_if<OpEvent>(&event))
        findings.expect(op->cost.bytes > 0 && op->cost.flops >= 0, "meta: ", op->op, " costs ",
                        op->cost.flops, " flops and ", op->cost.bytes, " bytes");
    const Outcome want = play(c, in, dtype, fresh());
    findings.expect(rehearsed.y.shape() == want.y.shape(), "meta: shape ", rehearsed.y.shape(),
                    " where the run has ", want.y.shape());
    findings.expect_near("arena against heap", play(c, in, dtype, planned(plan_memory(trace))),
                         want, kSameBits);
  }
}

}  // namespace fusor::ladder
