#include "ops/batch_norm.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "ops/add.h"
#include "ops/batch_norm_kernels.h"
#include "ops/relu.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

using ops::kernels::BatchNormScale;

// What one call is of.
struct Call {
  std::int64_t rows, cols;
  BatchNormOptions options;
  Tensor gain, bias;
  bool mask;  // the ReLU is to be found from x: what follows it has no residual

  Call(const Tensor& x, const BatchNormVars& v, const BatchNormOptions& o, const Tensor& residual)
      : rows(x.size() / std::max<std::int64_t>(x.dim(-1), 1)),
        cols(x.dim(-1)),
        options(o),
        gain(v.gain.value()),
        bias(v.bias.value()),
        mask(o.relu && !residual.defined()) {
    require(x.size() > 0, "batch_norm: x ", x.shape());
    for (const Tensor* t : std::initializer_list<const Tensor*>{
             &gain, &bias, &v.running_mean.value(), &v.running_variance.value()})
      require(!t->defined() || (t->shape() == Shape{cols} && t->dtype() == x.dtype()),
              "batch_norm: x ", x.shape(), " ", x.dtype(), " but gain, bias or statistic ",
              t->shape(), " ", t->dtype());
    require(!residual.defined() || (residual.shape() == x.shape() && residual.dtype() == x.dtype()),
            "batch_norm: x ", x.shape(), " ", x.dtype(), " but residual ", residual.shape(), " ",
            residual.dtype());
  }
  template <class T>
  BatchNormScale<T> scale(const Tensor& stats, bool relu) const {
    return {stats.data<acc_t<T>>(), gain.data<T>(), bias.data<T>(), relu};
  }
};

Cost cost_of(double flops, const Tensor& x, int operands) {
  return {.flops = flops * static_cast<double>(x.size()),
          .bytes = static_cast<double>(x.bytes()) * operands};
}
// Of what is done for each channel.
Cost channels_cost(const Tensor& moments) {
  return {.flops = 8.0 * static_cast<double>(moments.size()),
          .bytes = static_cast<double>(moments.bytes())};
}

Tensor workspace(Shape shape, const Tensor& x) {
  const Owned owned(x.device(), Owner::workspace);
  return {std::move(shape), acc_dtype(x.dtype()), x.device()};
}

Tensor blocks_of(const Call& c, const Tensor& x) {
  const DeviceKind kind = x.device().like();
  return workspace({ops::kernels::num_batch_norm_blocks(kind, c.rows, c.cols), 2, c.cols}, x);
}

// moments [2, cols] of `rows` rows from those of their blocks
Tensor combined(const Tensor& parts, std::int64_t rows, std::int64_t block) {
  const std::int64_t cols = parts.dim(-1);
  Tensor moments({2, cols}, parts.dtype(), parts.device());
  launch(parts.device(), "batch_norm_combine", channels_cost(parts), [&](auto device) {
    on_float(parts.dtype(), [&]<class A> {
      if constexpr (std::is_same_v<A, acc_t<A>>)
        ops::kernels::combine_moments(device, rows, block, cols, parts.data<A>(),
                                      moments.data<A>());
    });
  });
  return moments;
}

Tensor moments_of(const Call& c, const Tensor& x) {
  const Tensor blocks = blocks_of(c, x);
  launch(x.device(), "batch_norm_moments", cost_of(5, x, 1), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::batch_norm_moments(device, c.rows, c.cols, x.data<T>(),
                                       blocks.data<acc_t<T>>());
    });
  });
  return combined(blocks, c.rows,
                  ops::kernels::batch_norm_block(x.device().like(), c.rows, c.cols));
}

// Of a batch, and how many rows it has on all ranks.
struct Stats {
  Tensor stats;  // [3, cols]
  std::int64_t count;
};

Stats stats_of(const Call& c, const Tensor& x, const GatherRanks& gather) {
  Tensor moments = moments_of(c, x);
  std::int64_t count = c.rows;
  if (gather) {
    const Tensor all = gather(moments);
    count = c.rows * all.dim(0);
    moments = combined(all, count, c.rows);
  }
  Tensor stats({3, c.cols}, moments.dtype(), x.device());
  launch(x.device(), "batch_norm_stats", channels_cost(moments), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::batch_norm_stats(device, count, c.cols, c.options.eps, moments.data<A>(),
                                     stats.data<A>());
    });
  });
  return {std::move(stats), count};
}

Tensor running_stats(const Call& c, const Tensor& mean, const Tensor& variance) {
  require(mean.defined() && variance.defined(), "batch_norm: no running statistics to infer with");
  Tensor stats({3, c.cols}, acc_dtype(mean.dtype()), mean.device());
  launch(mean.device(), "batch_norm_stats", channels_cost(stats), [&](auto device) {
    on_float(mean.dtype(), [&]<class T> {
      ops::kernels::batch_norm_running_stats(device, c.cols, c.options.eps, mean.data<T>(),
                                             variance.data<T>(), stats.data<acc_t<T>>());
    });
  });
  return stats;
}

Tensor normalized(const Call& c, const Tensor& x, const Tensor& stats, const Tensor& residual) {
  Tensor y = empty_like(x);
  launch(x.device(), "batch_norm", cost_of(4, x, residual.defined() ? 3 : 2), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::batch_norm(device, c.rows, c.cols, c.scale<T>(stats, c.options.relu),
                               x.data<T>(), residual.defined() ? residual.data<T>() : nullptr,
                               y.data<T>());
    });
  });
  return y;
}

// [2, cols]: of all rows of this rank
Tensor gradient_sums(const Call& c, const Tensor& dy, const Tensor& x, const Tensor& stats) {
  const Tensor blocks = blocks_of(c, x);
  launch(x.device(), "batch_norm_sums", cost_of(5, x, 2), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::batch_norm_sums(device, c.rows, c.cols, c.scale<T>(stats, c.mask), dy.data<T>(),
                                    x.data<T>(), blocks.data<acc_t<T>>());
    });
  });
  Tensor sums({2 * c.cols}, stats.dtype(), x.device());
  ops::sum_rows(sums, blocks.view({blocks.dim(0), 2 * c.cols}), false);
  return sums.view({2, c.cols});
}

// sums: over all ranks, or undefined where statistics do not depend on x.
void x_gradient(const Call& c, const Tensor& dy, const Tensor& x, const Stats& s,
                const Tensor& sums, const Tensor& dx, bool add) {
  launch(x.device(), "batch_norm_backward", cost_of(8, x, add ? 4 : 3), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::batch_norm_backward(
          device, c.rows, c.cols, c.scale<T>(s.stats, c.mask), dy.data<T>(), x.data<T>(),
          sums.defined() ? sums.data<A>() : nullptr, s.count, dx.data<T>(), add);
    });
  });
}

// Sums of all ranks, added in their order.
Tensor over_ranks(const Tensor& sums, const GatherRanks& gather) {
  if (!gather) return sums;
  const Tensor all = gather(sums);
  Tensor total = empty_like(sums);
  ops::sum_rows(total.view({total.size()}), all.view({all.dim(0), total.size()}), false);
  return total;
}

void add_row(const Grad& to, const Tensor& rows, std::int64_t row) {
  to.accumulate([&](const Tensor& at, bool add) {
    ops::add_into(at, rows.rows(row, row + 1).view({rows.dim(1)}), add);
  });
}

// What backward does, with statistics of the batch or, where `running`, without.
Var record_batch_norm(const Call& c, Tensor y, const Var& x, const BatchNormVars& v,
                      const Var& residual, const Stats& s, bool running,
                      const GatherRanks& gather) {
  const Tensor kept = c.options.relu && !c.mask ? y : Tensor();
  const auto sums = std::make_shared<Tensor>();  // from pull to pull_weights
  Pull pull = [=, xv = x.value(), dx = x.grad(), dr = residual.grad()](const Tensor& dy) {
    Tensor g = dy;
    if (kept.defined()) ops::relu_backward(dy, kept, g = empty_like(dy), false);
    dr.pass(g);
    *sums = gradient_sums(c, g, xv, s.stats);
    const Tensor all = running ? Tensor() : over_ranks(*sums, gather);
    dx.accumulate([&](const Tensor& to, bool add) { x_gradient(c, g, xv, s, all, to, add); });
  };
  Pull pull_weights = [=, dgain = v.gain.grad(), dbias = v.bias.grad(),
                       mean = v.running_mean.grad(),
                       variance = v.running_variance.grad()](const Tensor&) {
    add_row(dbias, *sums, 0);
    add_row(dgain, *sums, 1);
    *sums = {};
    if (running) return;
    add_row(mean, s.stats, 0);
    add_row(variance, s.stats, 2);
  };
  std::vector<Var> inputs{x, v.gain, v.bias, residual};
  if (!running) inputs.insert(inputs.end(), {v.running_mean, v.running_variance});
  return record(std::move(y), inputs, std::move(pull), std::move(pull_weights));
}

}  // namespace

Var batch_norm(const Var& x, const BatchNormVars& v, const BatchNormOptions& o, const Var& residual,
               const GatherRanks& gather) {
  const Call c(x.value(), v, o, residual.value());
  const Stats s = stats_of(c, x.value(), gather);
  return record_batch_norm(c, normalized(c, x.value(), s.stats, residual.value()), x, v, residual,
                           s, false, gather);
}

Var batch_norm_inference(const Var& x, const BatchNormVars& v, const BatchNormOptions& o,
                         const Var& residual) {
  const Call c(x.value(), v, o, residual.value());
  const Stats s{running_stats(c, v.running_mean.value(), v.running_variance.value()), c.rows};
  return record_batch_norm(c, normalized(c, x.value(), s.stats, residual.value()), x, v, residual,
                           s, true, {});
}

}  // namespace fusor
