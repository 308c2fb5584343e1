#include "ops/linear.h"

#include "ops/gemm.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

void check(const Tensor& x, const Var& w, const Var& b) {
  require(x.rank() == 2 && w.value().rank() == 2 && x.dim(1) == w.value().dim(1), "linear: x ",
          x.shape(), " but w ", w.shape());
  require(!b.value().defined() || b.shape() == Shape{w.value().dim(0)}, "linear: w ", w.shape(),
          " but b ", b.shape());
}

Tensor output(const Tensor& x, const Var& w) {
  return Tensor({x.dim(0), w.value().dim(0)}, x.dtype(), x.device());
}

Tensor product(const Tensor& x, const Var& w, const Var& b) {
  check(x, w, b);
  Tensor y = output(x, w);
  ops::gemm_nt(x, w.value(), b.value(), y);
  return y;
}

// How dy flows to the weights of y = x w^T + b.
Pull to_weights(const Tensor& x, const Var& w, const Var& b) {
  return [dw = w.grad(), db = b.grad(), x](const Tensor& dy) {
    dw.accumulate([&](auto& to, bool add) { ops::gemm_tn(dy, x, to, add); });
    db.accumulate([&](auto& to, bool add) { ops::sum_rows(to, dy, add); });
  };
}

// How it flows to x.
Pull to_input(const Var& x, const Var& w) {
  return [dx = x.grad(), w = w.value()](const Tensor& dy) {
    dx.accumulate([&](auto& to, bool add) { ops::gemm_nn(dy, w, to, add); });
  };
}

}  // namespace

Var linear(const Var& x, const Var& w, const Var& b) {
  return record(product(x.value(), w, b), {x, w, b}, to_input(x, w), to_weights(x.value(), w, b));
}

Activated linear_gelu(const Var& x, const Var& w, const Var& b) {
  check(x.value(), w, b);
  const Tensor y = output(x.value(), w);
  if (!x.tape() || !(x.grad().wanted() || w.grad().wanted() || b.grad().wanted())) {
    ops::gemm_nt(x.value(), w.value(), b.value(), y, ops::Epilogue::gelu);
    return {record(y, {x}, {}), y};
  }
  const Tensor z = empty_like(y);
  ops::gemm_nt(x.value(), w.value(), b.value(), y, ops::Epilogue::gelu_aux, z);
  return {record(z, {x, w, b}, to_input(x, w), to_weights(x.value(), w, b)), y};
}

Var linear(const Activated& x, const Var& w, const Var& b) {
  Pull pull = [dz = x.z.grad(), z = x.z.value(), w = w.value()](const Tensor& dy) {
    dz.accumulate([&](auto& to, bool add) { ops::gemm_nn_dgelu(dy, w, z, to, add); });
  };
  return record(product(x.y, w, b), {x.z, w, b}, std::move(pull), to_weights(x.y, w, b));
}

}  // namespace fusor
