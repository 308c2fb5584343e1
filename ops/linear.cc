#include "ops/linear.h"

#include "ops/gelu.h"
#include "ops/gemm.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

void check(const Var& x, const Var& w, const Var& b) {
  require(x.value().rank() == 2 && w.value().rank() == 2 && x.value().dim(1) == w.value().dim(1),
          "linear: x ", x.shape(), " but w ", w.shape());
  require(!b.value().defined() || b.shape() == Shape{w.value().dim(0)}, "linear: w ", w.shape(),
          " but b ", b.shape());
}

Tensor output(const Var& x, const Var& w) {
  return Tensor({x.value().dim(0), w.value().dim(0)}, x.value().dtype(), x.device());
}

}  // namespace

Var linear(const Var& x, const Var& w, const Var& b) {
  check(x, w, b);
  Tensor y = output(x, w);
  ops::gemm_nt(x.value(), w.value(), b.value(), y);
  Pull pull = [dx = x.grad(), w = w.value()](const Tensor& dy) {
    dx.accumulate([&](auto& to, bool add) { ops::gemm_nn(dy, w, to, add); });
  };
  Pull pull_weights = [dw = w.grad(), db = b.grad(), x = x.value()](const Tensor& dy) {
    dw.accumulate([&](auto& to, bool add) { ops::gemm_tn(dy, x, to, add); });
    db.accumulate([&](auto& to, bool add) { ops::sum_rows(to, dy, add); });
  };
  return record(std::move(y), {x, w, b}, std::move(pull), std::move(pull_weights));
}

Var linear_gelu(const Var& x, const Var& w, const Var& b) {
  if (x.tape() && (x.grad().wanted() || w.grad().wanted())) return gelu(linear(x, w, b));
  check(x, w, b);
  Tensor y = output(x, w);
  ops::gemm_nt(x.value(), w.value(), b.value(), y, ops::Epilogue::gelu);
  return record(std::move(y), {x}, {});
}

}  // namespace fusor
