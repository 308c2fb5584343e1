#include "ops/grad_norm.h"

#include <vector>

#include "ops/grad_norm_kernels.h"

namespace fusor::ops {
namespace {

void check_sum(const char* op, const Tensor& sum) {
  require(sum.size() == ExactSum::kLimbs && sum.dtype() == DType::i64, op, ": sum ", sum.shape(),
          " ", sum.dtype(), " is no i64 [", ExactSum::kLimbs, "]");
}

void check_scalar(const char* op, const char* name, const Tensor& t) {
  require(t.size() == 1 && t.dtype() == DType::f64, op, ": ", name, " ", t.shape(), " ", t.dtype(),
          " is no f64 [1]");
}

template <class T>
std::vector<std::span<const T>> arrays_of(std::span<const Tensor> tensors) {
  std::vector<std::span<const T>> arrays;
  for (const Tensor& t : tensors)
    arrays.emplace_back(t.data<T>(), static_cast<std::size_t>(t.size()));
  return arrays;
}

}  // namespace

void sum_squares(std::span<const Tensor> tensors, const Tensor& sum) {
  check_sum("sum_squares", sum);
  const DType dtype = tensors.empty() ? DType::f32 : tensors[0].dtype();
  Cost cost{.bytes = static_cast<double>(sum.bytes())};
  for (const Tensor& t : tensors) {
    require(t.dtype() == dtype, "sum_squares: a tensor of ", t.dtype(), " among ", dtype);
    cost.flops += 2.0 * static_cast<double>(t.size());
    cost.bytes += static_cast<double>(t.bytes());
  }
  launch(sum.device(), "sum_squares", cost, [&](auto device) {
    on_float(dtype, [&]<class T> {
      kernels::sum_squares<T>(device, arrays_of<T>(tensors), sum.data<std::int64_t>());
    });
  });
}

void clip_scale(const Tensor& sum, const Tensor& inv_count, double max_norm, const Tensor& scale,
                const Tensor& norm, const Tensor& loss_scale) {
  check_sum("clip_scale", sum);
  check_scalar("clip_scale", "inv_count", inv_count);
  check_scalar("clip_scale", "scale", scale);
  check_scalar("clip_scale", "norm", norm);
  if (loss_scale.defined()) check_scalar("clip_scale", "loss_scale", loss_scale);
  require(max_norm >= 0, "clip_scale: max_norm ", max_norm);
  const Cost cost{.flops = 7, .bytes = static_cast<double>(sum.bytes() + 32)};
  launch(scale.device(), "clip_scale", cost, [&](auto device) {
    kernels::clip_scale(device, sum.data<std::int64_t>(), inv_count.data<double>(),
                        loss_scale.defined() ? loss_scale.data<double>() : nullptr, max_norm,
                        scale.data<double>(), norm.data<double>());
  });
}

}  // namespace fusor::ops
