#include "parallel/compiled_script.h"

#include <algorithm>
#include <sstream>

namespace fusor {
namespace {

using Step = CompiledScript::Step;

class Compiler {
 public:
  Compiler(const JobIndex& index, Clock* clock, bool each_op)
      : index_(index), clock_(clock), each_op_(each_op) {}

  CompiledScript operator()(const Script& script) {
    out_.script = &script;
    for (const TraceProgram& program : script.programs) {
      out_.programs.emplace_back();
      for (const TraceEvent& event : program.events) add(event);
    }
    return std::move(out_);
  }

 private:
  void add(const TraceEvent& event) {
    std::vector<Step>& steps = out_.programs.back();
    if (const auto* op = std::get_if<OpEvent>(&event)) {
      if (clock_) add_compute(event, clock_->op_seconds(*op), clock_->issue_seconds(event));
    } else if (const auto* call = std::get_if<CommEvent>(&event)) {
      steps.push_back({Step::Kind::call, static_cast<std::uint32_t>(out_.calls.size())});
      const int offset = is_transfer(call->kind) ? offset_of(*call) : 0;
      out_.calls.push_back({&event, call, index_.find(call->group), offset, kind_of(*call),
                            clock_ ? clock_->issue_seconds(event) : 0});
    } else if (const auto* wait = std::get_if<WaitEvent>(&event)) {
      steps.push_back({Step::Kind::wait, static_cast<std::uint32_t>(wait->id)});
    }
  }
  void add_compute(const TraceEvent& event, double seconds, double issue) {
    std::vector<Step>& steps = out_.programs.back();
    if (!each_op_ && !steps.empty() && steps.back().kind == Step::Kind::compute) {
      CompiledScript::Compute& merged = out_.computes[steps.back().index];
      merged.seconds += seconds, merged.issue += issue;
      return;
    }
    steps.push_back({Step::Kind::compute, static_cast<std::uint32_t>(out_.computes.size())});
    out_.computes.push_back({&event, seconds, issue});
  }
  int kind_of(const CommEvent& e) {
    const auto found = std::ranges::find_if(
        out_.kinds, [&](const auto& k) { return k.kind == e.kind && k.group == e.group; });
    const auto i = static_cast<int>(found - out_.kinds.begin());
    if (found == out_.kinds.end()) out_.kinds.push_back({e.group, e.kind});
    return i;
  }

  const JobIndex& index_;
  Clock* clock_;
  bool each_op_;
  CompiledScript out_;
};

}  // namespace

CompiledScript compile(const Script& script, const JobIndex& index, Clock* clock, bool each_op) {
  return Compiler(index, clock, each_op)(script);
}

std::string label_of(const CommEvent& e) {
  return e.scope.empty() ? e.name : e.scope + "/" + e.name;
}

std::string describe(const CommEvent& e) {
  std::ostringstream text;
  text << name_of(e.kind) << " \"" << label_of(e) << '"';
  if (e.kind == CommKind::barrier) return text.str();
  text << " of " << e.count << ' ' << e.dtype;
  if (e.kind == CommKind::broadcast) text << " from place " << e.peer;
  if (e.kind == CommKind::all_reduce && e.op != ReduceOp::sum)
    text << (e.op == ReduceOp::max ? " (max)" : " (min)");
  return text.str();
}

std::string where(const TraceProgram& program, int micro) {
  const std::string batch = micro < 0 ? "" : "micro-batch " + std::to_string(micro);
  if (program.name.empty()) return batch.empty() ? "" : " in " + batch;
  return " in " + program.name + (batch.empty() ? "" : " of " + batch);
}

}  // namespace fusor
