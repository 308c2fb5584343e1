#include "ops/adamw.h"

#include <cmath>
#include <vector>

#include "ops/adamw_kernels.h"

namespace fusor::ops {
namespace {

void check(const AdamWTensor& t, DType dtype, std::size_t i) {
  require(t.weight.dtype() == dtype, "adamw: weight ", i, " is ", t.weight.dtype(), ", weight 0 ",
          dtype);
  for (const Tensor* state : {&t.master, &t.m, &t.v, &t.grad})
    require(state->size() == t.weight.size() && state->dtype() == acc_dtype(dtype),
            "adamw: weight ", i, " ", t.weight.shape(), " ", dtype, " with state or gradient ",
            state->shape(), " ", state->dtype());
}

Cost adamw_cost(std::span<const AdamWTensor> tensors) {
  Cost cost;
  for (const AdamWTensor& t : tensors) {
    cost.flops += 15.0 * static_cast<double>(t.weight.size());
    cost.bytes += 7.0 * static_cast<double>(t.m.bytes());
    if (t.weight.dtype() != t.master.dtype()) cost.bytes += static_cast<double>(t.weight.bytes());
  }
  return cost;
}

template <class T>
std::vector<kernels::AdamWArrays<T>> arrays_of(std::span<const AdamWTensor> tensors) {
  std::vector<kernels::AdamWArrays<T>> arrays;
  for (const AdamWTensor& t : tensors)
    arrays.push_back({t.weight.data<T>(), t.master.data<acc_t<T>>(), t.m.data<acc_t<T>>(),
                      t.v.data<acc_t<T>>(), t.grad.data<acc_t<T>>(), t.weight.size(), t.decay});
  return arrays;
}

}  // namespace

std::array<double, kAdamWRates> adamw_rates(const AdamW& settings, double lr, std::int64_t step) {
  require(step >= 1, "adamw: step ", step, ", but steps count from 1");
  const auto n = static_cast<double>(step);
  return {lr, 1 - std::pow(settings.beta1, n), 1 - std::pow(settings.beta2, n)};
}

void adamw(std::span<const AdamWTensor> tensors, const AdamW& settings, const Tensor& rates,
           const Tensor& grad_scale) {
  require(rates.size() == kAdamWRates, "adamw: rates ", rates.shape());
  require(grad_scale.size() == 1, "adamw: grad_scale ", grad_scale.shape());
  if (tensors.empty()) return;
  const DType dtype = tensors[0].weight.dtype();
  for (std::size_t i = 0; i < tensors.size(); ++i) check(tensors[i], dtype, i);
  launch(grad_scale.device(), "adamw", adamw_cost(tensors), [&](auto device) {
    on_float(dtype, [&]<class T> {
      kernels::adamw<T>(device, arrays_of<T>(tensors), settings,
                        {rates.data<double>(), grad_scale.data<double>()});
    });
  });
}

}  // namespace fusor::ops
