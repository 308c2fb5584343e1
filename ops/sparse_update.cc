#include "ops/sparse_update.h"

#include "ops/sparse_update_kernels.h"

namespace fusor::ops {
namespace {

Cost update_cost(const Tensor& rows, double passes) {
  return {.flops = 10.0 * static_cast<double>(rows.size()),
          .bytes = passes * static_cast<double>(rows.bytes())};
}

void check(const TableRows& table, const RowGradients& g, const Tensor& firsts) {
  const Shape& shape = table.weights.shape();
  const DType dtype = table.weights.dtype();
  const bool adam = table.optimizer == TableOptimizer::adam;
  require(shape.size() == 2 && dtype == acc_dtype(dtype) && table.v.shape() == shape &&
              table.v.dtype() == dtype && table.m.defined() == adam &&
              (!adam || (table.m.shape() == shape && table.m.dtype() == dtype)),
          "sparse_update: a table ", shape, " ", dtype, " whose state is not like it");
  require(g.rows.shape() == Shape{g.ids.size(), shape[1]} && g.rows.dtype() == dtype &&
              g.ids.dtype() == DType::i32 && g.part > 0 &&
              std::ssize(g.order) * g.part == g.ids.size(),
          "sparse_update: gradients ", g.rows.shape(), " ", g.rows.dtype(), " of ids ",
          g.ids.shape(), " in ", g.order.size(), " parts of ", g.part);
  require(firsts.shape() == Shape{shape[0]} && firsts.dtype() == DType::i32,
          "sparse_update: firsts ", firsts.shape());
}

}  // namespace

void sparse_update(const TableRows& table, const RowGradients& g, const AdamW& settings,
                   const Tensor& rates, const Tensor& grad_scale, const Tensor& firsts) {
  check(table, g, firsts);
  const std::int64_t entries = g.ids.size(), cols = g.rows.dim(1);
  const auto data = [](const Tensor& t, auto of) {
    return t.defined() ? t.data<decltype(of)>() : nullptr;
  };
  launch(g.rows.device(), "sparse_update", update_cost(g.rows, 6), [&](auto device) {
    const auto run = [&]<class A>(A zero) {
      auto* const ids = g.ids.data<std::int32_t>();
      auto* const first = firsts.data<std::int32_t>();
      kernels::forget_firsts(device, entries, ids, first);
      for (const std::int64_t part : g.order)
        kernels::merge_rows(device, {part * g.part, (part + 1) * g.part, cols}, ids, first,
                            g.rows.data<A>());
      kernels::update_rows<A>(
          device, {0, entries, cols},
          {table.optimizer, data(table.weights, zero), data(table.m, zero), data(table.v, zero)},
          {settings, rates.data<double>(), grad_scale.data<double>()}, ids, g.rows.data<A>(),
          first);
    };
    g.rows.dtype() == DType::f64 ? run(0.0) : run(0.0f);
  });
}

}  // namespace fusor::ops
