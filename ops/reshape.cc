#include "ops/reshape.h"

namespace fusor {

Var reshape(const Var& x, Shape shape) {
  return record(
      x.value().view(std::move(shape)), {x},
      [before = x.shape(), dx = x.grad()](const Tensor& dy) { dx.pass(dy.view(before)); });
}

}  // namespace fusor
