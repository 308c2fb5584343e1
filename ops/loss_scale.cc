#include "ops/loss_scale.h"

#include "ops/loss_scale_kernels.h"

namespace fusor::ops {

void adapt_loss_scale(const Tensor& norm, const Tensor& state, std::int64_t patience) {
  require(norm.size() == 1 && norm.dtype() == DType::f64 && state.size() == kLossScaleState &&
              state.dtype() == DType::f64,
          "adapt_loss_scale: norm ", norm.shape(), " ", norm.dtype(), " and state ", state.shape(),
          " ", state.dtype(), " are not f64 [1] and f64 [", kLossScaleState, "]");
  require(patience > 0, "adapt_loss_scale: a patience of ", patience, " updates");
  const Cost cost{.flops = 2, .bytes = static_cast<double>(norm.bytes() + 2 * state.bytes())};
  launch(state.device(), "adapt_loss_scale", cost, [&](auto device) {
    kernels::adapt_loss_scale(device, norm.data<double>(), patience, state.data<double>());
  });
}

}  // namespace fusor::ops
