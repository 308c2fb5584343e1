#include "ops/embedding.h"

#include "ops/embedding_kernels.h"
#include "ops/fill.h"

namespace fusor {
namespace {

void check_ids(const Tensor& ids, std::int64_t vocab) {
  if (ids.device().kind() != DeviceKind::cpu) return;
  for (const std::int32_t id : ids.host<std::int32_t>())
    require(0 <= id && id < vocab, "embedding: id ", id, " is not in a table of ", vocab, " rows");
}

Cost embedding_cost(const Tensor& y) {
  return {.flops = static_cast<double>(y.size()), .bytes = 2.0 * static_cast<double>(y.bytes())};
}

Tensor backward_workspace(const Tensor& dy) {
  std::size_t bytes = 0;
  on_backend(dy.device().like(), [&](auto tag) {
    on_float(dy.dtype(), [&]<class T> {
      bytes = ops::kernels::embedding_backward_workspace<T>(tag, dy.dim(0), dy.dim(1));
    });
  });
  const Owned workspace(dy.device(), Owner::workspace);
  return {{static_cast<std::int64_t>(bytes)}, DType::u8, dy.device()};
}

// The table's gradient is touched where ids point, so without `add` the rest is zeroed first.
void embedding_backward(const Tensor& dy, const Tensor& ids, std::int64_t first,
                        const Tensor& dtable, bool add) {
  if (!add) ops::fill(dtable, 0);
  const Tensor workspace = backward_workspace(dy);
  launch(dy.device(), "embedding_backward", embedding_cost(dy), [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::embedding_backward(device, dy.dim(0), dy.dim(1), {first, dtable.dim(0)},
                                       ids.data<std::int32_t>(), dy.data<T>(),
                                       dtable.data<acc_t<T>>(), workspace.raw());
    });
  });
}

void add_positions_backward(const Tensor& dy, const RowMap& map, const Tensor& dtable) {
  launch(dy.device(), "add_positions_backward", embedding_cost(dy), [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::add_positions_backward(device, dy.dim(0), dy.dim(1), map, dy.data<T>(),
                                           dtable.data<acc_t<T>>());
    });
  });
}

}  // namespace

Var embedding(const Var& table, const Var& ids, const VocabShard& shard) {
  const Tensor &tv = table.value(), &iv = ids.value();
  require(tv.rank() == 2 && iv.rank() == 1 && iv.dtype() == DType::i32, "embedding: table ",
          tv.shape(), " and ids ", iv.shape(), " ", iv.dtype());
  check_ids(iv, shard.whole ? shard.whole : tv.dim(0));
  Tensor y({iv.dim(0), tv.dim(1)}, tv.dtype(), tv.device());
  launch(y.device(), "embedding", embedding_cost(y), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::embedding(device, y.dim(0), y.dim(1), {shard.first, tv.dim(0)},
                              iv.data<std::int32_t>(), tv.data<T>(), y.data<T>());
    });
  });
  Pull pull_weights = [iv, first = shard.first, dtable = table.grad()](const Tensor& dy) {
    dtable.accumulate(
        [&](const Tensor& to, bool add) { embedding_backward(dy, iv, first, to, add); });
  };
  return record(std::move(y), {table, ids}, {}, std::move(pull_weights));
}

Var add_positions(const Var& x, const Var& table, const RowMap& map) {
  const Tensor &xv = x.value(), &tv = table.value();
  require(xv.rank() == 2 && tv.rank() == 2 && xv.dim(1) == tv.dim(1) && xv.dtype() == tv.dtype(),
          "add_positions: x ", xv.shape(), " ", xv.dtype(), ", table ", tv.shape(), " ",
          tv.dtype());
  require(map.end_position() <= tv.dim(0), "add_positions: positions up to ", map.end_position(),
          " of a table of ", tv.dim(0));
  Tensor y = empty_like(xv);
  launch(y.device(), "add_positions", embedding_cost(y), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::add_positions(device, y.dim(0), y.dim(1), map, xv.data<T>(), tv.data<T>(),
                                  y.data<T>());
    });
  });
  Pull pull = [dx = x.grad()](const Tensor& dy) { dx.pass(dy); };
  Pull pull_weights = [map, dtable = table.grad()](const Tensor& dy) {
    dtable.accumulate([&](const Tensor& to, bool add) {
      if (!add) ops::fill(to, 0);
      add_positions_backward(dy, map, to);
    });
  };
  return record(std::move(y), {x, table}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
