#include "ops/tape.h"

#include "ops/add.h"

namespace fusor {

Grad Grad::of_value(const Tensor& value) {
  Grad g;
  g.node_ = std::make_shared<Node>(
      Node{{}, value.shape(), value.dtype(), value.device(), /*is_parameter=*/false});
  return g;
}

Grad Grad::of_parameter(Tensor to) {
  Grad g;
  g.node_ =
      std::make_shared<Node>(Node{to, to.shape(), to.dtype(), to.device(), /*is_parameter=*/true});
  return g;
}

Grad Grad::of_weight(const Tensor& weight) {
  Grad g;
  g.node_ = std::make_shared<Node>(
      Node{{}, weight.shape(), acc_dtype(weight.dtype()), weight.device(), /*is_parameter=*/true});
  return g;
}

void Grad::restart(Tensor to) const {
  require(to.shape() == node_->shape && to.dtype() == node_->dtype, "gradient ", node_->shape, " ",
          node_->dtype, " moved to ", to.shape(), " ", to.dtype());
  node_->to = std::move(to);
  restart();
}

void Grad::restart(std::function<Tensor()> place) const {
  node_->to = {};
  node_->place = std::move(place);
  restart();
}

bool Grad::prepare() const {
  Node& n = *node_;
  require(!n.later, "an op adds to a weight's gradient outside pull_weights");
  if (n.is_parameter) {
    if (!n.to.defined()) n.to = n.place();
    return std::exchange(n.filled, true);
  }
  if (!n.to.defined()) {
    n.to = Tensor(n.shape, n.dtype, n.device);
    return false;
  }
  if (!n.to.unique()) {  // shared by pass() with a gradient that is still to be read
    Tensor own = empty_like(n.to);
    ops::add_into(own, n.to, false);
    n.to = std::move(own);
  }
  return true;
}

void Grad::pass(const Tensor& dy) const {
  if (!node_) return;
  if (!node_->is_parameter && !node_->to.defined()) {
    node_->to = dy;
    return;
  }
  accumulate([&](const Tensor& to, bool add) { ops::add_into(to, dy, add); });
}

Var Var::input(Tensor value, Tape* tape, bool wants_grad) {
  Var x;
  if (wants_grad) x.grad_ = Grad::of_value(value);
  x.value_ = std::move(value);
  x.tape_ = tape;
  return x;
}

Var Var::parameter(Tensor value, Tensor grad) {
  Var x;
  if (grad.defined()) {
    require(grad.shape() == value.shape() && grad.dtype() == acc_dtype(value.dtype()), "parameter ",
            value.shape(), " ", value.dtype(), " with a gradient ", grad.shape(), " ",
            grad.dtype());
    x.grad_ = Grad::of_parameter(std::move(grad));
  }
  x.value_ = std::move(value);
  return x;
}

Var Var::trained(Tensor weight) {
  Var x;
  x.grad_ = Grad::of_weight(weight);
  x.value_ = std::move(weight);
  return x;
}

Var record(Tensor value, const std::vector<Var>& inputs, Pull pull, Pull pull_weights) {
  Var y;
  bool wants_grad = false;
  for (const Var& x : inputs) {
    if (x.tape_) y.tape_ = x.tape_;
    wants_grad = wants_grad || x.grad_.wanted();
  }
  y.value_ = std::move(value);
  if (!y.tape_ || !wants_grad) return y;
  y.grad_ = Grad::of_value(y.value_);
  Tape::Step step{
      y.grad_, std::move(pull), std::move(pull_weights), {}, y.device().backend().scopes};
  for (const Var& x : inputs)
    if (x.grad_.wanted() && x.grad_.node_->is_parameter) step.parameters.push_back(x.grad_);
  y.tape_->steps_.push_back(std::move(step));
  return y;
}

namespace {

// Puts a layer's name in place of the one that runs.
class ScopesOf {
 public:
  explicit ScopesOf(const Device& device)
      : scopes_(device.backend().scopes), before_(device.backend().scopes) {}
  ~ScopesOf() { scopes_ = std::move(before_); }
  ScopesOf(const ScopesOf&) = delete;
  ScopesOf& operator=(const ScopesOf&) = delete;
  void set(const std::vector<std::string_view>& scopes) { scopes_ = scopes; }

 private:
  std::vector<std::string_view>&scopes_, before_;
};

}  // namespace

void Grad::will_use(const std::vector<Grad>& parameters) {
  for (const Grad& p : parameters) ++p.node_->uses;
}

void Grad::used(const std::vector<Grad>& parameters) {
  for (const Grad& p : parameters)
    if (--p.node_->uses == 0 && p.node_->ready) p.node_->ready();
}

void Tape::backward(std::vector<Root> roots) {
  weights_later_ = false;
  walk(std::move(roots));
}

void Tape::backward_inputs(std::vector<Root> roots) {
  weights_later_ = true;
  walk(std::move(roots));
}

void Tape::walk(std::vector<Root> roots) {
  require(!roots.empty(), "backward: no value to begin from");
  ScopesOf scopes(roots[0].dy.device());
  for (Root& root : roots) {
    require(root.y.wanted(), "backward: nothing that y was computed from wants a gradient");
    const Shape& shape = root.y.node_->shape;
    require(root.dy.shape() == shape, "backward: y ", shape, " but dy ", root.dy.shape());
    root.y.node_->to = std::move(root.dy);
  }
  for (const Step& step : steps_) Grad::will_use(step.parameters);
  // Ops were appended as they ran, so reverse order is already a valid topological order.
  for (; !steps_.empty(); steps_.pop_back()) {
    Step& step = steps_.back();
    scopes.set(step.scopes);
    if (!step.y.wanted())
      step.pull({});  // of on_backward
    else if (const Tensor dy = std::exchange(step.y.node_->to, {}); dy.defined())
      pull(step, dy);
    Grad::used(step.parameters);
  }
}

void Tape::unwind() {
  for (; !steps_.empty(); steps_.pop_back())
    if (!steps_.back().y.wanted()) steps_.back().pull({});
}

void Tape::pull(Step& step, const Tensor& dy) {
  for (const Grad& p : step.parameters) p.node_->later = weights_later_;
  if (step.pull) step.pull(dy);
  for (const Grad& p : step.parameters) p.node_->later = false;
  if (!step.pull_weights) return;
  if (!weights_later_) return step.pull_weights(dy);
  for (const Grad& p : step.parameters) --p.node_->uses;  // in this pass
  weight_steps_.push_back(
      {dy, std::move(step.pull_weights), std::exchange(step.parameters, {}), step.scopes});
}

void Tape::backward_weights() {
  if (weight_steps_.empty()) return;
  ScopesOf scopes(weight_steps_[0].dy.device());
  for (const WeightStep& step : weight_steps_) Grad::will_use(step.parameters);
  for (WeightStep& step : std::exchange(weight_steps_, {})) {
    scopes.set(step.scopes);
    step.pull_weights(step.dy);
    Grad::used(step.parameters);
    step = {};  // frees what it held
  }
}

Var Tape::recompute(const std::vector<Var>& inputs, Segment f) {
  Tape* tape = nullptr;
  for (const Var& x : inputs)
    if (x.tape_ && x.grad_.wanted()) tape = x.tape_;
  if (!tape) return f(inputs);  // nothing would come back here to run it again
  const auto leaves = [](const std::vector<Var>& vars, Tape& segment) {
    std::vector<Var> all;
    for (const Var& x : vars) all.push_back(Var::input(x.value_, &segment, x.grad_.wanted()));
    return all;
  };
  Tensor y;
  {
    Tape unused;  // operators may be fused, to other bits, where nothing is recorded
    y = f(leaves(inputs, unused)).value_;
  }
  return record(std::move(y), inputs, [=, f = std::move(f)](const Tensor& dy) {
    Tape segment;
    const std::vector<Var> again = leaves(inputs, segment);
    tape->pull_again(f(again), dy, segment);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (again[i].grad_.wanted()) inputs[i].grad_.pass(again[i].grad_.tensor());
  });
}

// The gradients of a segment that was run again, in the way that this tape's walk goes.
void Tape::pull_again(const Var& y, const Tensor& dy, Tape& segment) {
  segment.weights_later_ = weights_later_;
  segment.walk({{y.grad_, dy}});
  for (WeightStep& step : segment.weight_steps_) weight_steps_.push_back(std::move(step));
}

void Tape::on_backward(std::function<void()> f) {
  steps_.push_back({{}, [f = std::move(f)](const Tensor&) { f(); }, {}, {}, {}});
}

}  // namespace fusor
