#include "ops/expert_dispatch.h"

#include <cmath>
#include <limits>

#include "ops/expert_dispatch_kernels.h"

namespace fusor {
namespace {

// One pass over the elements of `moved`; `wide`: the tensor that each product runs over.
Cost dispatch_cost(const Tensor& wide, std::size_t moved) {
  return {.flops = 2.0 * static_cast<double>(wide.size()), .bytes = static_cast<double>(moved)};
}

// weights may be undefined: 1.
void scatter(std::string_view op, const Tensor& x, const Tensor& weights, const Routing& routing,
             const Tensor& buffer, bool add) {
  const Cost cost = dispatch_cost(buffer, x.bytes() + (add ? 2 : 1) * buffer.bytes());
  launch(x.device(), op, cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::expert_scatter(device, buffer.dim(0), routing.slots.dim(1), x.dim(1),
                                   routing.sources.data<std::int32_t>(),
                                   weights.defined() ? weights.data<A>() : nullptr, x.data<T>(),
                                   buffer.data<T>(), add);
    });
  });
}

void gather(std::string_view op, const Tensor& buffer, const Tensor& weights,
            const Routing& routing, const Tensor& y, bool add) {
  const Cost cost = dispatch_cost(buffer, buffer.bytes() + (add ? 2 : 1) * y.bytes());
  launch(y.device(), op, cost, [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::expert_gather(
          device, y.dim(0), routing.slots.dim(1), y.dim(1), routing.slots.data<std::int32_t>(),
          weights.defined() ? weights.data<A>() : nullptr, buffer.data<T>(), y.data<T>(), add);
    });
  });
}

void combine_backward_weights(const Tensor& dy, const Tensor& buffer, const Routing& routing,
                              const Tensor& dweights, bool add) {
  const Cost cost = dispatch_cost(buffer, buffer.bytes() + dy.bytes());
  launch(dy.device(), "expert_combine_backward_weights", cost, [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::expert_dots(device, dy.dim(0), routing.slots.dim(1), dy.dim(1),
                                routing.slots.data<std::int32_t>(), dy.data<T>(), buffer.data<T>(),
                                dweights.data<acc_t<T>>(), add);
    });
  });
}

std::int64_t global_rows(std::int64_t n, const RowMap& rows) {
  require(rows.first_row == 0 && n % rows.local_len == 0, "experts: ", n,
          " rows are not whole samples of ", rows.local_len);
  return n / rows.local_len * rows.seq_len;
}

}  // namespace

std::int64_t expert_capacity(double factor, std::int64_t tokens, std::int64_t k,
                             std::int64_t experts) {
  if (factor == 0) return tokens;
  const double share = factor * static_cast<double>(k * tokens) / static_cast<double>(experts);
  return share < static_cast<double>(tokens) ? static_cast<std::int64_t>(std::ceil(share)) : tokens;
}

Tensor global_choices(const Tensor& choices, const RowMap& rows) {
  require(choices.rank() == 2 && choices.dtype() == DType::i32, "global_choices: choices ",
          choices.shape(), " ", choices.dtype());
  const std::int64_t n = choices.dim(0), k = choices.dim(1);
  Tensor global({global_rows(n, rows), k}, DType::i32, choices.device());
  launch(choices.device(), "global_choices", dispatch_cost({}, choices.bytes() + global.bytes()),
         [&](auto device) {
           ops::kernels::global_choices(device, n, global.dim(0), k, choices.data<std::int32_t>(),
                                        rows, global.data<std::int32_t>());
         });
  return global;
}

Routing route_tokens(const Tensor& global, std::int64_t n, const RowMap& rows, std::int64_t experts,
                     std::int64_t capacity) {
  require(global.rank() == 2 && global.dtype() == DType::i32 &&
              global.dim(0) == global_rows(n, rows) && experts > 0 && capacity > 0,
          "route_tokens: choices ", global.shape(), " ", global.dtype(), " of ", n, " rows, ",
          experts, " experts with room for ", capacity);
  const std::int64_t k = global.dim(1);
  const std::int64_t slots_per_expert = std::min(capacity, n);
  require(std::max(experts * slots_per_expert, n * k) <= std::numeric_limits<std::int32_t>::max(),
          "route_tokens: ", experts, " experts with room for ", slots_per_expert,
          " tokens are too many");
  const auto table = [&](Shape shape) {
    return Tensor(std::move(shape), DType::i32, global.device());
  };
  Routing routing{table({n, k}), table({experts * slots_per_expert}), table({experts})};
  const std::size_t moved = 2 * global.bytes() + routing.slots.bytes() + routing.sources.bytes();
  launch(global.device(), "route", dispatch_cost({}, moved), [&](auto device) {
    ops::kernels::route(device, {n, global.dim(0), k, experts, capacity, slots_per_expert}, rows,
                        global.data<std::int32_t>(), routing.slots.data<std::int32_t>(),
                        routing.sources.data<std::int32_t>(), routing.counts.data<std::int32_t>());
  });
  return routing;
}

Var expert_dispatch(const Var& x, const Routing& routing) {
  const Tensor& xv = x.value();
  require(xv.rank() == 2 && xv.dim(0) == routing.slots.dim(0), "expert_dispatch: x ", xv.shape(),
          " but slots ", routing.slots.shape());
  Tensor buffer({routing.sources.dim(0), xv.dim(1)}, xv.dtype(), xv.device());
  scatter("expert_dispatch", xv, {}, routing, buffer, false);
  return record(std::move(buffer), {x}, [routing, dx = x.grad()](const Tensor& dbuffer) {
    dx.accumulate([&](const Tensor& to, bool add) {
      gather("expert_dispatch_backward", dbuffer, {}, routing, to, add);
    });
  });
}

Var expert_combine(const Var& buffer, const Var& weights, const Routing& routing) {
  const Tensor &bv = buffer.value(), &wv = weights.value();
  require(bv.rank() == 2 && bv.dim(0) == routing.sources.dim(0) &&
              wv.shape() == routing.slots.shape() && wv.dtype() == acc_dtype(bv.dtype()),
          "expert_combine: buffer ", bv.shape(), " ", bv.dtype(), " and weights ", wv.shape(), " ",
          wv.dtype(), " but slots ", routing.slots.shape(), " of ", routing.sources.dim(0));
  Tensor y({wv.dim(0), bv.dim(1)}, bv.dtype(), bv.device());
  gather("expert_combine", bv, wv, routing, y, false);
  return record(
      std::move(y), {buffer, weights},
      [bv, wv, routing, dbuffer = buffer.grad(), dweights = weights.grad()](const Tensor& dy) {
        dweights.accumulate([&](const Tensor& to, bool add) {
          combine_backward_weights(dy, bv, routing, to, add);
        });
        dbuffer.accumulate([&](const Tensor& to, bool add) {
          scatter("expert_combine_backward", dy, wv, routing, to, add);
        });
      });
}

}  // namespace fusor
