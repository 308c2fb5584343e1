#include "parallel/batch_norm.h"

#include "parallel/collectives.h"

namespace fusor {

BatchNormLayer::BatchNormLayer(const std::string& name, std::int64_t channels,
                               const Options& options, const Group& statistics)
    : gain(name + ".weight", {channels}, {.constant = options.gain}),
      bias(name + ".bias", {channels}, {}),
      mean(name + ".running_mean", {channels}, {}),
      variance(name + ".running_var", {channels}, {.constant = 1}),
      eps(options.eps),
      statistics(statistics) {
  mean.running_rate = variance.running_rate = options.running_rate;
}

Var BatchNormLayer::operator()(const Var& x, bool training, bool relu, const Var& residual) const {
  const BatchNormVars vars{gain, bias, mean, variance};
  const BatchNormOptions options{.eps = eps, .relu = relu};
  if (!training) return batch_norm_inference(x, vars, options, residual);
  if (statistics.size() == 1) return batch_norm(x, vars, options, residual);
  return batch_norm(x, vars, options, residual, [group = statistics](const Tensor& known) {
    return all_gathered(known.view({1, known.dim(0), known.dim(1)}), group, "batch_norm");
  });
}

void BatchNormLayer::visit(const Visitor& f) { f(gain), f(bias), f(mean), f(variance); }

}  // namespace fusor
