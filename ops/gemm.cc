#include "ops/gemm.h"

#include "ops/add.h"
#include "ops/gelu.h"
#include "ops/gemm_kernels.h"

namespace fusor::ops {
namespace {

using kernels::GemmCall;
using kernels::Product;

// Two operations a multiply-add; each operand read once, c written once (and read if added to), aux
// read or written once.
Cost gemm_cost(const GemmCall& call, const Tensor& a, const Tensor& b, const Tensor& c) {
  const auto m = static_cast<double>(call.m), n = static_cast<double>(call.n),
             k = static_cast<double>(call.k);
  const auto size = static_cast<std::int64_t>(size_of(a.dtype()));
  const std::size_t results = (call.add || has_aux(call) ? 2 : 1) * c.bytes();
  return {.flops = 2 * m * n * k,
          .bytes = static_cast<double>(a.bytes() + b.bytes() + results),
          .aligned = call.n * size % 16 == 0 && call.k * size % 16 == 0};
}

void run(std::string_view op, const GemmCall& call, const Tensor& a, const Tensor& b,
         const Tensor& bias, const Tensor& c, const Tensor& aux = {}) {
  require(call.m > 0 && call.n > 0 && call.k > 0, op, ": ", a.shape(), " and ", b.shape());
  const Device& device = c.device();
  std::size_t bytes = 0;
  on_backend(device.like(), [&](auto tag) { bytes = kernels::gemm_workspace(tag, call); });
  const Owned workspace_is(device, Owner::workspace);
  const Tensor workspace({static_cast<std::int64_t>(bytes)}, DType::u8, device);
  launch(device, op, gemm_cost(call, a, b, c), [&](auto tag) {
    kernels::gemm(tag, call,
                  {a.raw(), b.raw(), bias.defined() ? bias.raw() : nullptr, c.raw(),
                   workspace.raw(), aux.defined() ? aux.raw() : nullptr});
  });
}

// Checks that the operands are matrices with these extents and of these dtypes.
void check(const char* op, const Tensor& a, const Tensor& b, const Tensor& c, const Shape& a_is,
           const Shape& b_is, const Shape& c_is, DType c_dtype) {
  require(a.shape() == a_is && b.shape() == b_is && c.shape() == c_is, op, ": ", a.shape(), " and ",
          b.shape(), " do not make ", c.shape());
  require(a.dtype() == b.dtype() && c.dtype() == c_dtype, op, ": ", a.dtype(), " and ", b.dtype(),
          " do not make ", c.dtype());
}

bool takes_aux(const Device& device) {
  bool takes = false;
  on_backend(device.like(), [&](auto tag) { takes = kernels::takes_aux(tag); });
  return takes;
}

void check_aux(const char* op, const Tensor& aux, const Tensor& c) {
  require(aux.shape() == c.shape() && aux.dtype() == c.dtype(), op, ": ", c.shape(), " ", c.dtype(),
          " with aux ", aux.shape(), " ", aux.dtype());
}

}  // namespace

void gemm_nt(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y,
             Epilogue epilogue, const Tensor& aux) {
  const std::int64_t m = x.dim(0), k = x.dim(-1), n = w.dim(0);
  check("gemm_nt", x, w, y, {m, k}, {n, k}, {m, n}, x.dtype());
  if (bias.defined())
    require(bias.shape() == Shape{n} && bias.dtype() == w.dtype(), "gemm_nt: w ", w.shape(), " ",
            w.dtype(), " but bias ", bias.shape(), " ", bias.dtype());
  if (epilogue == Epilogue::gelu_aux) {
    check_aux("gemm_nt", aux, y);
    if (!takes_aux(y.device())) {
      gemm_nt(x, w, bias, aux);
      return gelu(aux, y);
    }
  }
  run("gemm_nt", {Product::nt, x.dtype(), bias.defined(), false, epilogue, m, n, k}, x, w, bias, y,
      aux);
}

void gemm_nn(const Tensor& dy, const Tensor& w, const Tensor& dx, bool add) {
  const std::int64_t m = dy.dim(0), n = dy.dim(-1), k = w.dim(-1);
  check("gemm_nn", dy, w, dx, {m, n}, {n, k}, {m, k}, dy.dtype());
  run("gemm_nn", {Product::nn, dy.dtype(), false, add, Epilogue::none, m, n, k}, dy, w, {}, dx);
}

void gemm_nn_dgelu(const Tensor& dy, const Tensor& w, const Tensor& aux, const Tensor& dx,
                   bool add) {
  const std::int64_t m = dy.dim(0), n = dy.dim(-1), k = w.dim(-1);
  check("gemm_nn_dgelu", dy, w, dx, {m, n}, {n, k}, {m, k}, dy.dtype());
  check_aux("gemm_nn_dgelu", aux, dx);
  if (add) {  // an epilogue would come after the sum
    const Tensor share = empty_like(dx);
    gemm_nn_dgelu(dy, w, aux, share, false);
    return add_into(dx, share, true);
  }
  if (!takes_aux(dx.device())) {
    gemm_nn(dy, w, dx, false);
    return gelu_backward(dx, aux, dx, false);
  }
  run("gemm_nn", {Product::nn, dy.dtype(), false, false, Epilogue::dgelu, m, n, k}, dy, w, {}, dx,
      aux);
}

void gemm_tn(const Tensor& dy, const Tensor& x, const Tensor& dw, bool add) {
  const std::int64_t m = dy.dim(0), n = dy.dim(-1), k = x.dim(-1);
  check("gemm_tn", dy, x, dw, {m, n}, {m, k}, {n, k}, acc_dtype(dy.dtype()));
  run("gemm_tn", {Product::tn, dy.dtype(), false, add, Epilogue::none, m, n, k}, dy, x, {}, dw);
}

}  // namespace fusor::ops
