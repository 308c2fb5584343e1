#include "ops/ctc_loss.h"

#include "ops/ctc_loss_kernels.h"

namespace fusor {
namespace {

void check_count(const char* what, std::int64_t sample, std::int32_t count, std::int64_t most) {
  require(0 <= count && count <= most, "ctc_loss: sample ", sample, " has ", count, " ", what,
          " of at most ", most);
}

// What the host can read.
void check_texts(const CtcSizes& sizes, const CtcTargets& y) {
  if (y.labels.device().kind() != DeviceKind::cpu) return;
  const auto labels = y.labels.host<std::int32_t>(), counts = y.label_counts.host<std::int32_t>(),
             frames = y.frame_counts.host<std::int32_t>();
  for (std::int64_t n = 0; n < sizes.samples; ++n) {
    const auto i = static_cast<std::size_t>(n);
    check_count("labels", n, counts[i], sizes.labels);
    check_count("frames", n, frames[i], sizes.frames);
    for (const std::int32_t label : labels.subspan(i * static_cast<std::size_t>(sizes.labels),
                                                   static_cast<std::size_t>(counts[i])))
      require(0 <= label && label < sizes.vocab && label != sizes.blank, "ctc_loss: sample ", n,
              " has label ", label, " of a vocabulary of ", sizes.vocab, " where ", sizes.blank,
              " is the blank");
  }
}

CtcSizes sizes_of(const Tensor& logits, const CtcTargets& y, std::int64_t blank) {
  const Shape samples{y.labels.dim(0)};
  require(y.labels.rank() == 2 && y.label_counts.shape() == samples &&
              y.frame_counts.shape() == samples && y.labels.dtype() == DType::i32 &&
              y.label_counts.dtype() == DType::i32 && y.frame_counts.dtype() == DType::i32,
          "ctc_loss: labels ", y.labels.shape(), " ", y.labels.dtype(), " with counts ",
          y.label_counts.shape(), " ", y.label_counts.dtype(), " and ", y.frame_counts.shape(), " ",
          y.frame_counts.dtype());
  require(logits.rank() == 2 && samples[0] > 0 && logits.dim(0) % samples[0] == 0,
          "ctc_loss: ", samples[0], " texts but logits ", logits.shape());
  require(0 <= blank && blank < logits.dim(1), "ctc_loss: blank ", blank, " of a vocabulary of ",
          logits.dim(1));
  return {.samples = samples[0],
          .frames = logits.dim(0) / samples[0],
          .labels = y.labels.dim(1),
          .vocab = logits.dim(1),
          .blank = blank};
}

ops::kernels::CtcTexts texts_of(const CtcTargets& y) {
  return {y.labels.data<std::int32_t>(), y.label_counts.data<std::int32_t>(),
          y.frame_counts.data<std::int32_t>()};
}

// Three exponentials and a logarithm for each state that may be reached.
Cost ctc_cost(const Tensor& logits, const Tensor& alpha, int moves) {
  return {
      .flops = 4.0 * static_cast<double>(logits.size()) + 40.0 * static_cast<double>(alpha.size()),
      .bytes = moves * static_cast<double>(logits.bytes()) + static_cast<double>(alpha.bytes())};
}

}  // namespace

CtcLoss ctc_loss(const Var& logits, const CtcTargets& targets, std::int64_t blank) {
  const Tensor& x = logits.value();
  const CtcSizes sizes = sizes_of(x, targets, blank);
  check_texts(sizes, targets);
  Tensor sum({1}, DType::f64, x.device());
  const Tensor impossible({1}, DType::f64, x.device()),
      losses({sizes.samples}, DType::f64, x.device()),
      lse({sizes.samples, sizes.frames}, DType::f64, x.device()),
      alpha({sizes.samples, sizes.frames + ops::kernels::kCtcSpareRows, sizes.states()}, DType::f64,
            x.device());
  launch(x.device(), "ctc_loss", ctc_cost(x, alpha, 1), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::ctc_forward(device, sizes, x.data<T>(), texts_of(targets), lse.data<double>(),
                                alpha.data<double>(), losses.data<double>());
    });
    ops::kernels::ctc_sum(device, sizes.samples, losses.data<double>(), sum.data<double>(),
                          impossible.data<double>());
  });
  Var total = record(std::move(sum), {logits}, [=, dx = logits.grad()](const Tensor& dloss) {
    launch(x.device(), "ctc_loss_backward", ctc_cost(x, alpha, 2), [&](auto device) {
      on_float(x.dtype(), [&]<class T> {
        ops::kernels::ctc_backward(device, sizes, dloss.data<double>(), texts_of(targets),
                                   lse.data<double>(), losses.data<double>(), alpha.data<double>(),
                                   x.data<T>());
      });
    });
    dx.pass(x);
  });
  return {std::move(total), impossible, losses};
}

}  // namespace fusor
