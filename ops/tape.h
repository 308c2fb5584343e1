#pragma once
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/tensor.h"

// Reverse-mode differentiation. Ops append to a tape as they run, and backward walks it in reverse;
// each op is its forward call with the line of calculus beside it. An op's backward captures the
// Grads of its inputs and, of values, only what its calculus reads: the rest is freed at once.
namespace fusor {

class Tape;
class Var;

// The place where the gradient of one value gathers. Copies name the same place.
class Grad {
 public:
  Grad() = default;  // no gradient wanted
  // For a value that is computed: allocated when the first gradient arrives.
  static Grad of_value(const Tensor& value);
  // For a weight: `to` has the weight's shape and its accumulator dtype.
  static Grad of_parameter(Tensor to);
  // For a weight whose gradient gets its place by restart().
  static Grad of_weight(const Tensor& weight);

  bool wanted() const { return node_ != nullptr; }
  // The sum so far; undefined (for weights: stale) if nothing has flowed back yet.
  const Tensor& tensor() const { return node_->to; }

  // kernel(to, add) writes to = (add ? to : 0) + d. Not called when no gradient is wanted.
  template <class Kernel>
  void accumulate(Kernel&& kernel) const {
    if (!node_) return;
    const bool add = prepare();
    kernel(std::as_const(node_->to), add);
  }
  // The same where d is dy itself: shares dy if it is the first to arrive.
  void pass(const Tensor& dy) const;

  // Weights only. The next gradient goes to `to` and overwrites what is there.
  void restart(Tensor to) const;
  void restart() const { node_->filled = false; }
  // The same, to what `place` returns when that gradient is about to be written.
  void restart(std::function<Tensor()> place) const;
  bool filled() const { return node_->filled; }  // a gradient has been written since restart()
  // Called during backward when the last op of the tape that read this weight has added its share.
  void on_ready(std::function<void()> f) const { node_->ready = std::move(f); }

 private:
  friend class Tape;
  friend class Var;
  friend Var record(Tensor, const std::vector<Var>&, std::function<void(const Tensor&)>,
                    std::function<void(const Tensor&)>);
  struct Node {
    Tensor to{};
    Shape shape;
    DType dtype;
    Device device;
    bool is_parameter, filled = false;
    bool later = false;  // weights: not to be written before pull_weights
    int uses = 0;        // weights: ops that read it and are still to come in the pass that runs
    std::function<void()> ready{};
    std::function<Tensor()> place{};  // weights: makes `to` where that is undefined
  };
  // A pass has an op before it that read these weights; it has added its share to each.
  static void will_use(const std::vector<Grad>& parameters);
  static void used(const std::vector<Grad>& parameters);
  bool prepare() const;  // makes `to` writable; true if it already holds a sum

  std::shared_ptr<Node> node_;
};

// A value that may want a gradient.
class Var {
 public:
  Var() = default;  // no value
  // A leaf. `tape` records what is computed from it; without one nothing is recorded (inference).
  static Var input(Tensor value, Tape* tape = nullptr, bool wants_grad = false);
  // A weight; frozen if grad is undefined. Copy neither it nor its module while it trains.
  static Var parameter(Tensor value, Tensor grad = {});
  // A weight whose gradient gets its place by Grad::restart, before it is first written.
  static Var trained(Tensor weight);

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  const Device& device() const { return value_.device(); }
  const Grad& grad() const { return grad_; }
  Tape* tape() const { return tape_; }

 private:
  friend class Tape;
  friend Var record(Tensor, const std::vector<Var>&, std::function<void(const Tensor&)>,
                    std::function<void(const Tensor&)>);
  Tensor value_;
  Grad grad_;
  Tape* tape_ = nullptr;
};

// How a gradient dy of an op's result flows back to its inputs.
using Pull = std::function<void(const Tensor& dy)>;

// The result of an op. Recorded if an input carries a tape and one wants a gradient; else `pull` is
// dropped, and with it what it saved. `pull_weights`, called after it, holds all that adds to
// weights' gradients, so that a pipeline may do it later.
Var record(Tensor value, const std::vector<Var>& inputs, Pull pull, Pull pull_weights = {});

// The ops of one forward pass, in the order they ran. One per micro-batch in flight.
class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  struct Root {
    Grad y;
    Tensor dy;  // has the shape of y's value
  };
  // Consumes the tape from its end; what an op saved is freed as the walk passes it. Afterwards
  // only leaves hold gradients.
  void backward(const Var& y, Tensor dy) { backward(std::vector<Root>{{y.grad(), std::move(dy)}}); }
  void backward(std::vector<Root> roots);
  // The same in two: first all but `pull_weights`, whose operands are kept, then that.
  void backward_inputs(std::vector<Root> roots);
  void backward_weights();

  // The same where nothing wants a gradient: calls only what on_backward() left.
  void unwind();

  // Runs f, recorded, on what `inputs` hold; keeps these alone, and in backward runs f once more
  // for what it would have kept. f must give the same bits each time. Where no input wants a
  // gradient f is recorded as it is. The weights that f reads are read nowhere else on this tape:
  // each is ready when this segment's backward pass has added its share.
  using Segment = std::function<Var(const std::vector<Var>& inputs)>;
  static Var recompute(const std::vector<Var>& inputs, Segment f);

  // Backward calls f when the walk comes by here: after all ops recorded later, before any earlier.
  void on_backward(std::function<void()> f);

  std::size_t size() const { return steps_.size(); }

 private:
  friend Var record(Tensor, const std::vector<Var>&, Pull, Pull);
  struct Step {
    Grad y;
    Pull pull, pull_weights;
    std::vector<Grad> parameters;
    std::vector<std::string_view> scopes;  // the layer that recorded it, for ledgers and profiles
  };
  // What backward_inputs left to do.
  struct WeightStep {
    Tensor dy;
    Pull pull_weights;
    std::vector<Grad> parameters;
    std::vector<std::string_view> scopes;
  };
  void walk(std::vector<Root> roots);
  void pull(Step& step, const Tensor& dy);
  void pull_again(const Var& y, const Tensor& dy, Tape& segment);
  std::vector<Step> steps_;
  std::vector<WeightStep> weight_steps_;
  bool weights_later_ = false;
};

}  // namespace fusor
