#include "ops/router_logits.h"

#include "ops/router_logits_kernels.h"

namespace fusor {
namespace {

// Of each of the three products. `moved`: the operands that are read or written.
Cost router_cost(std::int64_t rows, const Tensor& w, std::size_t moved) {
  return {.flops = 2.0 * static_cast<double>(rows) * static_cast<double>(w.size()),
          .bytes = static_cast<double>(moved)};
}

void backward_x(const Tensor& dlogits, const Tensor& w, const Tensor& dx, bool add) {
  const std::size_t moved = dlogits.bytes() + w.bytes() + (add ? 2 : 1) * dx.bytes();
  launch(dx.device(), "router_logits_dx", router_cost(dx.dim(0), w, moved), [&](auto device) {
    on_float(w.dtype(), [&]<class T> {
      ops::kernels::router_logits_dx(device, dx.dim(0), w.dim(0), w.dim(1),
                                     dlogits.data<acc_t<T>>(), w.data<T>(), dx.data<T>(), add);
    });
  });
}

void backward_w(const Tensor& dlogits, const Tensor& x, const Tensor& dw, bool add) {
  const std::size_t moved = dlogits.bytes() + x.bytes() + (add ? 2 : 1) * dw.bytes();
  launch(dw.device(), "router_logits_dw", router_cost(x.dim(0), dw, moved), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::router_logits_dw(device, x.dim(0), dw.dim(0), dw.dim(1), dlogits.data<A>(),
                                     x.data<T>(), dw.data<A>(), add);
    });
  });
}

}  // namespace

Var router_logits(const Var& x, const Var& w) {
  const Tensor &xv = x.value(), &wv = w.value();
  require(xv.rank() == 2 && wv.rank() == 2 && xv.dim(1) == wv.dim(1) && xv.dtype() == wv.dtype(),
          "router_logits: x ", xv.shape(), " ", xv.dtype(), " but w ", wv.shape(), " ", wv.dtype());
  Tensor logits({xv.dim(0), wv.dim(0)}, acc_dtype(xv.dtype()), xv.device());
  const Cost cost = router_cost(xv.dim(0), wv, xv.bytes() + wv.bytes() + logits.bytes());
  launch(xv.device(), "router_logits", cost, [&](auto device) {
    on_float(xv.dtype(), [&]<class T> {
      ops::kernels::router_logits(device, xv.dim(0), wv.dim(0), wv.dim(1), xv.data<T>(),
                                  wv.data<T>(), logits.data<acc_t<T>>());
    });
  });
  Pull pull = [wv, dx = x.grad()](const Tensor& dlogits) {
    dx.accumulate([&](auto& to, bool add) { backward_x(dlogits, wv, to, add); });
  };
  Pull pull_weights = [xv, dw = w.grad()](const Tensor& dlogits) {
    dw.accumulate([&](auto& to, bool add) { backward_w(dlogits, xv, to, add); });
  };
  return record(std::move(logits), {x, w}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
