#include "ops/top_k_router.h"

#include "ops/top_k_router_kernels.h"

namespace fusor {
namespace {

// Runs f.template operator()<A>() with the logits' element type.
template <class F>
void on_logits(DType dtype, F&& f) {
  dtype == DType::f64 ? f.template operator()<double>() : f.template operator()<float>();
}

void require_logits(const char* op, const Tensor& logits) {
  require(logits.rank() == 2 && (logits.dtype() == DType::f32 || logits.dtype() == DType::f64), op,
          ": logits ", logits.shape(), " ", logits.dtype(),
          " are not [rows, experts] of f32 or f64");
}

Cost router_cost(const Tensor& logits, std::int64_t k, double passes) {
  const auto rows = static_cast<double>(logits.dim(0));
  return {
      .flops = 8 * passes * static_cast<double>(logits.size()),
      .bytes = passes * static_cast<double>(logits.bytes()) + 12 * rows * static_cast<double>(k)};
}

void weights_backward(const Tensor& dweights, const Tensor& logits, const Tensor& choices,
                      const Balance& balance, const Tensor& dlogits, bool add) {
  const Cost cost = router_cost(logits, choices.dim(1), add ? 3 : 2);
  launch(logits.device(), "router_weights_backward", cost, [&](auto device) {
    on_logits(logits.dtype(), [&]<class A> {
      ops::kernels::router_weights_backward(
          device, logits.dim(0), logits.dim(1), choices.dim(1), dweights.data<A>(),
          logits.data<A>(), choices.data<std::int32_t>(),
          {balance.counts.defined() ? balance.counts.data<std::int32_t>() : nullptr,
           balance.coefficient,
           balance.loss_scale.defined() ? balance.loss_scale.data<double>() : nullptr},
          dlogits.data<A>(), add);
    });
  });
}

}  // namespace

Tensor top_k(const Tensor& logits, std::int64_t k) {
  require_logits("top_k", logits);
  require(0 < k && k <= logits.dim(1), "top_k: ", k, " of ", logits.dim(1), " experts");
  Tensor choices({logits.dim(0), k}, DType::i32, logits.device());
  launch(logits.device(), "top_k", router_cost(logits, k, 1), [&](auto device) {
    on_logits(logits.dtype(), [&]<class A> {
      ops::kernels::top_k(device, logits.dim(0), logits.dim(1), k, logits.data<A>(),
                          choices.data<std::int32_t>());
    });
  });
  return choices;
}

Var router_weights(const Var& logits, const Tensor& choices, const Balance& balance) {
  const Tensor& lv = logits.value();
  require_logits("router_weights", lv);
  require(choices.rank() == 2 && choices.dim(0) == lv.dim(0) && choices.dtype() == DType::i32,
          "router_weights: logits ", lv.shape(), " but choices ", choices.shape(), " ",
          choices.dtype());
  require(!balance.counts.defined() || balance.counts.shape() == Shape{lv.dim(1)},
          "router_weights: logits ", lv.shape(), " but counts ", balance.counts.shape());
  require(!balance.loss_scale.defined() ||
              (balance.loss_scale.size() == 1 && balance.loss_scale.dtype() == DType::f64),
          "router_weights: loss_scale ", balance.loss_scale.shape(), " ",
          balance.loss_scale.dtype());
  Tensor weights(choices.shape(), lv.dtype(), lv.device());
  launch(lv.device(), "router_weights", router_cost(lv, choices.dim(1), 1), [&](auto device) {
    on_logits(lv.dtype(), [&]<class A> {
      ops::kernels::router_weights(device, lv.dim(0), lv.dim(1), choices.dim(1), lv.data<A>(),
                                   choices.data<std::int32_t>(), weights.data<A>());
    });
  });
  return record(std::move(weights), {logits},
                [lv, choices, balance, dlogits = logits.grad()](const Tensor& dweights) {
                  dlogits.accumulate([&](const Tensor& to, bool add) {
                    weights_backward(dweights, lv, choices, balance, to, add);
                  });
                });
}

}  // namespace fusor
