#include "ops/soft_cross_entropy.h"

#include <algorithm>

#include "ops/soft_cross_entropy_kernels.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

Cost cost_of(const Tensor& logits, double flops, int operands) {
  const auto size = static_cast<double>(logits.size());
  return {.flops = flops * size,
          .bytes = static_cast<double>(logits.bytes()) * operands + 4 * size};
}

void check_labels(const Tensor& labels, std::int64_t rows, std::int64_t classes) {
  require(labels.shape() == Shape{rows} && labels.dtype() == DType::i32, "labels ", labels.shape(),
          " ", labels.dtype(), " of ", rows, " rows");
  if (labels.device().kind() != DeviceKind::cpu) return;
  for (const std::int32_t label : labels.host<std::int32_t>())
    require(label == kIgnoredTarget || (0 <= label && label < classes), "label ", label, " of ",
            classes, " classes");
}

}  // namespace

Var soft_cross_entropy(const Var& logits, const Tensor& targets) {
  const Tensor& x = logits.value();
  require(x.rank() == 2 && targets.shape() == x.shape() && targets.dtype() == DType::f32,
          "soft_cross_entropy: logits ", x.shape(), " but targets ", targets.shape(), " ",
          targets.dtype());
  const std::int64_t rows = x.dim(0), cols = x.dim(1);
  const Tensor of_rows({3, rows}, DType::f64, x.device());
  launch(x.device(), "soft_cross_entropy", cost_of(x, 6, 1), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::soft_cross_entropy(device, rows, cols, x.data<T>(), targets.data<float>(),
                                       of_rows.data<double>());
    });
  });
  Tensor loss({1}, DType::f64, x.device());
  ops::sum_rows(loss, of_rows.rows(2, 3).view({rows, 1}), false);
  return record(std::move(loss), {logits}, [=, dx = logits.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(
          x.device(), "soft_cross_entropy_backward", cost_of(x, 5, add ? 3 : 2), [&](auto device) {
            on_float(x.dtype(), [&]<class T> {
              ops::kernels::soft_cross_entropy_backward(device, rows, cols, dy.data<double>(),
                                                        x.data<T>(), targets.data<float>(),
                                                        of_rows.data<double>(), to.data<T>(), add);
            });
          });
    });
  });
}

Tensor soft_targets(const MixedLabels& of, std::int64_t classes, double smoothing) {
  const std::int64_t rows = of.labels.dim(0);
  check_labels(of.labels, rows, classes);
  const bool mixed = of.others.defined();
  require(mixed == of.shares.defined(),
          "soft_targets: other labels without shares, or shares alone");
  if (mixed) {
    check_labels(of.others, rows, classes);
    require(of.shares.shape() == Shape{rows}, "soft_targets: shares ", of.shares.shape(), " of ",
            rows, " rows");
  }
  Tensor targets({rows, classes}, DType::f32, of.labels.device());
  const Cost cost{.flops = static_cast<double>(targets.size()),
                  .bytes = static_cast<double>(targets.bytes())};
  launch(targets.device(), "soft_targets", cost, [&](auto device) {
    ops::kernels::soft_targets(
        device, rows, classes,
        {of.labels.data<std::int32_t>(), mixed ? of.others.data<std::int32_t>() : nullptr,
         mixed ? of.shares.data<float>() : nullptr},
        smoothing, targets.data<float>());
  });
  return targets;
}

void top_k_hits(const Tensor& logits, const Tensor& labels, std::span<const std::int64_t> ks,
                const Tensor& hits) {
  require(logits.rank() == 2, "top_k_hits: logits ", logits.shape());
  const std::int64_t rows = logits.dim(0), cols = logits.dim(1);
  check_labels(labels, rows, cols);
  require(hits.size() == std::ssize(ks) && hits.dtype() == DType::f64, "top_k_hits: hits ",
          hits.shape(), " ", hits.dtype(), " of ", ks.size(), " numbers");
  const Tensor ranks({rows}, DType::i32, logits.device());
  launch(logits.device(), "label_ranks", cost_of(logits, 2, 1), [&](auto device) {
    on_float(logits.dtype(), [&]<class T> {
      ops::kernels::label_ranks(device, rows, cols, logits.data<T>(), labels.data<std::int32_t>(),
                                ranks.data<std::int32_t>());
    });
  });
  for (std::size_t i = 0; i < ks.size(); ++i)
    launch(hits.device(), "top_k_hits", {.bytes = static_cast<double>(ranks.bytes())},
           [&](auto device) {
             ops::kernels::count_below(device, rows, ranks.data<std::int32_t>(),
                                       std::min(ks[i], cols), hits.data<double>() + i);
           });
}

}  // namespace fusor
