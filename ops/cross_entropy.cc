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

// What these columns tell of each row.
Tensor known_of(const Tensor& logits, const Tensor& targets, std::int64_t first) {
  Tensor known({2, logits.dim(0)}, DType::f64, logits.device());
  const Cost cost{.flops = 4.0 * static_cast<double>(logits.size()),
                  .bytes = static_cast<double>(logits.bytes())};
  launch(logits.device(), "cross_entropy", cost, [&](auto device) {
    on_float(logits.dtype(), [&]<class T> {
      ops::kernels::cross_entropy_known(device, logits.dim(0), logits.dim(1), first,
                                        logits.data<T>(), targets.data<std::int32_t>(),
                                        known.data<double>());
    });
  });
  return known;
}

void cross_entropy_of(const Tensor& known, const Tensor& targets, const Tensor& lse,
                      const Tensor& loss) {
  const Cost cost{.flops = 2.0 * static_cast<double>(known.size()),
                  .bytes = static_cast<double>(known.bytes())};
  launch(known.device(), "cross_entropy_sum", cost, [&](auto device) {
    ops::kernels::cross_entropy(device, known.dim(0), known.dim(2), known.data<double>(),
                                targets.data<std::int32_t>(), lse.data<double>(),
                                loss.data<double>());
  });
}

void cross_entropy_backward(const Tensor& dloss, const Tensor& targets, std::int64_t first,
                            const Tensor& lse, const Tensor& logits) {
  const Cost cost{.flops = 4.0 * static_cast<double>(logits.size()),
                  .bytes = 2.0 * static_cast<double>(logits.bytes())};
  launch(logits.device(), "cross_entropy_backward", cost, [&](auto device) {
    on_float(logits.dtype(), [&]<class T> {
      ops::kernels::cross_entropy_backward(device, logits.dim(0), logits.dim(1), first,
                                           dloss.data<double>(), targets.data<std::int32_t>(),
                                           lse.data<double>(), logits.data<T>());
    });
  });
}

}  // namespace

Var cross_entropy(const Var& logits, const Tensor& targets) {
  return cross_entropy(logits, targets, {}, [](const Tensor& known) {
    return known.view({1, 2, known.dim(1)});
  });
}

Var cross_entropy(const Var& logits, const Tensor& targets, const VocabShard& shard,
                  const GatherRanks& gather) {
  const Tensor& x = logits.value();
  require(x.rank() == 2 && targets.shape() == Shape{x.dim(0)} && targets.dtype() == DType::i32,
          "cross_entropy: logits ", x.shape(), " but targets ", targets.shape(), " ",
          targets.dtype());
  check_targets(targets, shard.whole ? shard.whole : x.dim(1));
  Tensor loss({1}, DType::f64, x.device());
  const Tensor lse({x.dim(0)}, DType::f64, x.device());
  cross_entropy_of(gather(known_of(x, targets, shard.first)), targets, lse, loss);
  return record(std::move(loss), {logits},
                [x, targets, first = shard.first, lse, dx = logits.grad()](const Tensor& dy) {
                  cross_entropy_backward(dy, targets, first, lse, x);
                  dx.pass(x);
                });
}

}  // namespace fusor
