#include "parallel/collectives.h"

#include <string>

#include "ops/add.h"

namespace fusor {
namespace {

// x's shape with `rows` rows, to receive into.
Tensor buffer(const Tensor& x, std::int64_t rows) {
  const Owned owned(x.device(), Owner::communication);
  Shape shape = x.shape();
  shape.at(0) = rows;
  return {std::move(shape), x.dtype(), x.device()};
}

std::int64_t rows_per_rank(const Tensor& x, const Group& group, std::string_view what) {
  const std::int64_t rows = x.dim(0);
  require(rows % group.size() == 0, call_name(x, what), ": ", rows, " rows do not divide into ",
          group.size(), " equal parts, one for each rank of ", group.name());
  return rows / group.size();
}

Tensor rows_of_rank(const Tensor& x, const Group& group, std::string_view what) {
  const std::int64_t rows = rows_per_rank(x, group, what);
  return x.rows(group.rank() * rows, (group.rank() + 1) * rows);
}

Tensor copy_of(const Tensor& x) {
  Tensor copy = buffer(x, x.dim(0));
  ops::add_into(copy, x, false);
  return copy;
}

}  // namespace

std::string call_name(const Tensor& x, std::string_view what) {
  std::string name = x.device().backend().scope();
  if (!name.empty()) name += '/';
  return name.append(what);
}

Tensor all_reduced(const Tensor& x, const Group& group, std::string_view what, ReduceOp op) {
  if (group.size() == 1) return x;
  Tensor y = x.unique() ? x : copy_of(x);
  group->all_reduce(y, op, call_name(y, what)).wait();
  return y;
}

Tensor all_gathered(const Tensor& x, const Group& group, std::string_view what) {
  if (group.size() == 1) return x;
  Tensor y = buffer(x, group.size() * x.dim(0));
  group->all_gather(x, y, call_name(x, what)).wait();
  return y;
}

Tensor reduce_scattered(const Tensor& x, const Group& group, std::string_view what) {
  if (group.size() == 1) return x;
  Tensor y = buffer(x, rows_per_rank(x, group, what));
  group->reduce_scatter(x, y, call_name(x, what)).wait();
  return y;
}

Tensor exchanged(const Tensor& x, const Group& group, std::string_view what) {
  if (group.size() == 1) return x;
  rows_per_rank(x, group, what);
  Tensor y = buffer(x, x.dim(0));
  group->all_to_all(x, y, call_name(x, what)).wait();
  return y;
}

Var fork(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(x.value(), {x}, [group, dx = x.grad()](const Tensor& dy) {
    dx.pass(all_reduced(dy, group, "fork_backward"));
  });
}

Var join(Var x, const Group& group) {
  if (group.size() == 1) return x;
  Tensor y = all_reduced(x.value(), group, "join");  // before record() holds x too
  return record(std::move(y), {x}, [dx = x.grad()](const Tensor& dy) { dx.pass(dy); });
}

Var gather_rows(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(all_gathered(x.value(), group, "gather_rows"), {x},
                [group, dx = x.grad()](const Tensor& dy) {
                  dx.pass(reduce_scattered(dy, group, "gather_rows_backward"));
                });
}

Var scatter_rows(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(reduce_scattered(x.value(), group, "scatter_rows"), {x},
                [group, dx = x.grad()](const Tensor& dy) {
                  dx.pass(all_gathered(dy, group, "scatter_rows_backward"));
                });
}

Var gather_replicated(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(all_gathered(x.value(), group, "gather_replicated"), {x},
                [group, dx = x.grad()](const Tensor& dy) {
                  dx.pass(rows_of_rank(dy, group, "gather_replicated_backward"));
                });
}

Var slice(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(rows_of_rank(x.value(), group, "slice"), {x},
                [group, dx = x.grad()](const Tensor& dy) {
                  dx.pass(all_gathered(dy, group, "slice_backward"));
                });
}

Var exchange(const Var& x, const Group& group) {
  if (group.size() == 1) return x;
  return record(exchanged(x.value(), group, "exchange"), {x},
                [group, dx = x.grad()](const Tensor& dy) {
                  dx.pass(exchanged(dy, group, "exchange_backward"));
                });
}

}  // namespace fusor
