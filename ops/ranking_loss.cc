#include "ops/ranking_loss.h"

#include "ops/ranking_loss_kernels.h"

namespace fusor {
namespace {

Cost ranking_cost(const Tensor& negative, double passes) {
  return {.flops = 20.0 * static_cast<double>(negative.size()),
          .bytes = passes * static_cast<double>(negative.bytes())};
}

}  // namespace

Var ranking_loss(const Var& positive, const Var& negative, const RankingLoss& loss) {
  const Tensor &p = positive.value(), &n = negative.value();
  require(p.rank() == 1 && p.dim(0) > 0 && n.size() > 0 && n.size() % p.dim(0) == 0 &&
              n.dtype() == p.dtype(),
          "ranking_loss: positive ", p.shape(), " ", p.dtype(), " and negative ", n.shape(), " ",
          n.dtype());
  const ops::kernels::RankingSize size{p.dim(0), n.size() / p.dim(0), loss};
  const Tensor known({2, p.dim(0)}, DType::f64, p.device());
  Tensor y({1}, DType::f64, p.device());
  launch(p.device(), "ranking_loss", ranking_cost(n, 1), [&](auto device) {
    on_float(p.dtype(), [&]<class T> {
      ops::kernels::ranking_loss(device, size, p.data<T>(), n.data<T>(), known.data<double>(),
                                 y.data<double>());
    });
  });
  return record(std::move(y), {positive, negative},
                [=, dp = positive.grad(), dn = negative.grad()](const Tensor& dloss) {
                  const Tensor to_positive = empty_like(p), to_negative = empty_like(n);
                  launch(p.device(), "ranking_loss_backward", ranking_cost(n, 2), [&](auto device) {
                    on_float(p.dtype(), [&]<class T> {
                      ops::kernels::ranking_loss_backward(
                          device, size, dloss.data<double>(), known.data<double>(), p.data<T>(),
                          n.data<T>(), to_positive.data<T>(), to_negative.data<T>());
                    });
                  });
                  dp.pass(to_positive);
                  dn.pass(to_negative);
                });
}

}  // namespace fusor
