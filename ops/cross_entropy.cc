#include "ops/cross_entropy.h"

#include "ops/cross_entropy_kernels.h"

namespace fusor {
namespace {

void check_targets(const Tensor& targets, std::int64_t vocab) {
  if (targets.device().kind() != DeviceKind::cpu) return;
  for (const std::int32_t t : targets.host<std::int32_t>())
    require(t == kIgnoredTarget || (0 <= t && t < vocab), "cross_entropy: target ", t,
            " of a vocabulary of ", vocab);
}

void cross_entropy_backward(const Tensor& dloss, const Tensor& targets, const Tensor& lse,
                            const Tensor& logits) {
  const Cost cost{.flops = 4.0 * static_cast<double>(logits.size()),
                  .bytes = 2.0 * static_cast<double>(logits.bytes())};
  launch(logits.device(), "cross_entropy_backward", cost, [&](auto device) {
    on_float(logits.dtype(), [&]<class T> {
      ops::kernels::cross_entropy_backward(device, logits.dim(0), logits.dim(1),
                                           dloss.data<double>(), targets.data<std::int32_t>(),
                                           lse.data<double>(), logits.data<T>());
    });
  });
}

}  // namespace

Var cross_entropy(const Var& logits, const Tensor& targets) {
  const Tensor& x = logits.value();
  require(x.rank() == 2 && targets.shape() == Shape{x.dim(0)} && targets.dtype() == DType::i32,
          "cross_entropy: logits ", x.shape(), " but targets ", targets.shape(), " ",
          targets.dtype());
  check_targets(targets, x.dim(1));
  Tensor loss({1}, DType::f64, x.device());
  const Tensor lse({x.dim(0)}, DType::f64, x.device());
  const Cost cost{.flops = 4.0 * static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes())};
  launch(x.device(), "cross_entropy", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::cross_entropy(device, x.dim(0), x.dim(1), x.data<T>(),
                                  targets.data<std::int32_t>(), lse.data<double>(),
                                  loss.data<double>());
    });
  });
  return record(std::move(loss), {logits}, [x, targets, lse, dx = logits.grad()](const Tensor& dy) {
    cross_entropy_backward(dy, targets, lse, x);
    dx.pass(x);
  });
}

}  // namespace fusor
