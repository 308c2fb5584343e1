#include "ops/add_norm.h"

#include "ops/add_norm_kernels.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"

namespace fusor {
namespace {

// Two operands are read and two results written.
Cost add_norm_cost(const Tensor& y, double flops) {
  return {.flops = flops * static_cast<double>(y.size()),
          .bytes = 4.0 * static_cast<double>(y.bytes())};
}

template <class T>
ops::kernels::Addition<T> addition(const Var& residual, const Var& x, double p, const StepKey& key,
                                   const RowMap& map, const Tensor& sum) {
  return {residual.value().data<T>(), x.value().data<T>(),
          ops::kernels::dropout_mask(p, key, map, sum.dim(1)), sum.data<T>()};
}

}  // namespace

AddNorm add_layer_norm(const Var& residual, const Var& x, double p, const StepKey& key,
                       const RowMap& map, const Var& gain, const Var& bias, double eps) {
  ops::check_dropout_add(residual, x, p, key);
  ops::check_layer_norm(x.value(), gain, bias);
  const Tensor sum = empty_like(x.value()), y = empty_like(sum);
  const Tensor mean({sum.dim(0)}, acc_dtype(sum.dtype()), sum.device()), rstd = empty_like(mean);
  launch(y.device(), "add_layer_norm", add_norm_cost(y, 9), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::add_layer_norm(device, y.dim(0), addition<T>(residual, x, p, key, map, sum),
                                   eps, gain.value().data<T>(), bias.value().data<T>(), y.data<T>(),
                                   mean.data<A>(), rstd.data<A>());
    });
  });
  const Var added = ops::record_dropout_add(sum, residual, x, p, key, map);
  return {added, ops::record_layer_norm(y, added, gain, bias, mean, rstd)};
}

AddNorm add_rms_norm(const Var& residual, const Var& x, double p, const StepKey& key,
                     const RowMap& map, const Var& gain, double eps) {
  ops::check_dropout_add(residual, x, p, key);
  ops::check_rms_norm(x.value(), gain);
  const Tensor sum = empty_like(x.value()), y = empty_like(sum);
  const Tensor inv_rms({sum.dim(0)}, acc_dtype(sum.dtype()), sum.device());
  launch(y.device(), "add_rms_norm", add_norm_cost(y, 6), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::add_rms_norm(device, y.dim(0), addition<T>(residual, x, p, key, map, sum), eps,
                                 gain.value().data<T>(), y.data<T>(), inv_rms.data<acc_t<T>>());
    });
  });
  const Var added = ops::record_dropout_add(sum, residual, x, p, key, map);
  return {added, ops::record_rms_norm(y, added, gain, inv_rms)};
}

}  // namespace fusor
