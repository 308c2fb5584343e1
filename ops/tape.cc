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

void Grad::restart(Tensor to) const {
  require(to.shape() == node_->shape && to.dtype() == node_->dtype, "gradient ", node_->shape, " ",
          node_->dtype, " moved to ", to.shape(), " ", to.dtype());
  node_->to = std::move(to);
  restart();
}

bool Grad::prepare() const {
  Node& n = *node_;
  if (n.is_parameter) return std::exchange(n.filled, true);
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

Var record(Tensor value, std::initializer_list<Var> inputs, Pull pull) {
  Var y;
  bool wants_grad = false;
  for (const Var& x : inputs) {
    if (x.tape_) y.tape_ = x.tape_;
    wants_grad = wants_grad || x.grad_.wanted();
  }
  y.value_ = std::move(value);
  if (!y.tape_ || !wants_grad) return y;
  y.grad_ = Grad::of_value(y.value_);
  Tape::Step step{y.grad_, std::move(pull), {}, y.device().backend().scopes};
  for (const Var& x : inputs)
    if (x.grad_.wanted() && x.grad_.node_->is_parameter) {
      ++x.grad_.node_->uses;
      step.parameters.push_back(x.grad_);
    }
  y.tape_->steps_.push_back(std::move(step));
  return y;
}

void Tape::backward(const Var& y, Tensor dy) {
  require(dy.shape() == y.shape(), "backward: y ", y.shape(), " but dy ", dy.shape());
  require(y.grad_.wanted(), "backward: nothing that y was computed from wants a gradient");
  auto& scopes = dy.device().backend().scopes;
  const auto outer = scopes;
  y.grad_.node_->to = std::move(dy);
  // Ops were appended as they ran, so reverse order is already a valid topological order.
  for (; !steps_.empty(); steps_.pop_back()) {
    Step& step = steps_.back();
    scopes = step.scopes;
    if (const Tensor g = std::exchange(step.y.node_->to, {}); g.defined()) step.pull(g);
    for (const Grad& p : step.parameters)
      if (--p.node_->uses == 0 && p.node_->ready) p.node_->ready();
  }
  scopes = outer;
}

}  // namespace fusor
