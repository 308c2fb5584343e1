#include "ops/add.h"

#include "ops/add_kernels.h"

namespace fusor {
namespace {

Cost add_cost(const Tensor& y, int operands) {
  return {.flops = static_cast<double>(y.size()),
          .bytes = static_cast<double>(y.bytes()) * operands};
}

}  // namespace

Var add(const Var& a, const Var& b) {
  require(a.shape() == b.shape() && a.value().dtype() == b.value().dtype(), "add: a ", a.shape(),
          " ", a.value().dtype(), " but b ", b.shape(), " ", b.value().dtype());
  Tensor y = empty_like(a.value());
  launch(y.device(), "add", add_cost(y, 3), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::add(device, y.size(), a.value().data<T>(), b.value().data<T>(), y.data<T>());
    });
  });
  return record(std::move(y), {a, b}, [da = a.grad(), db = b.grad()](const Tensor& dy) {
    da.pass(dy);
    db.pass(dy);
  });
}

namespace ops {

void add_into(const Tensor& to, const Tensor& x, bool add) {
  require(to.size() == x.size(), "add_into: to ", to.shape(), " but x ", x.shape());
  require(to.dtype() == x.dtype() || to.dtype() == acc_dtype(x.dtype()), "add_into: to ",
          to.dtype(), " but x ", x.dtype());
  launch(to.device(), "add_into", add_cost(to, add ? 3 : 2), [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      if (to.dtype() == x.dtype())
        kernels::add_into(device, x.size(), x.data<T>(), to.data<T>(), add);
      else
        kernels::add_into(device, x.size(), x.data<T>(), to.data<acc_t<T>>(), add);
    });
  });
}

}  // namespace ops
}  // namespace fusor
