#include "ops/expert_linear.h"

#include "ops/gemm.h"

namespace fusor {
namespace {

// The e-th of `experts` equal runs of rows.
Tensor part(const Tensor& t, std::int64_t e, std::int64_t experts) {
  const std::int64_t rows = t.dim(0) / experts;
  return t.rows(e * rows, (e + 1) * rows);
}

}  // namespace

Var expert_linear(const Var& x, const Var& w, std::int64_t experts) {
  const Tensor &xv = x.value(), &wv = w.value();
  require(xv.rank() == 2 && wv.rank() == 2 && xv.dim(1) == wv.dim(1) && experts > 0 &&
              xv.dim(0) % experts == 0 && wv.dim(0) % experts == 0,
          "expert_linear: x ", xv.shape(), " and w ", wv.shape(), " of ", experts, " experts");
  Tensor y({xv.dim(0), wv.dim(0) / experts}, xv.dtype(), xv.device());
  for (std::int64_t e = 0; e < experts; ++e)
    ops::gemm_nt(part(xv, e, experts), part(wv, e, experts), {}, part(y, e, experts));
  Pull pull = [wv, experts, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      for (std::int64_t e = 0; e < experts; ++e)
        ops::gemm_nn(part(dy, e, experts), part(wv, e, experts), part(to, e, experts), add);
    });
  };
  Pull pull_weights = [xv, experts, dw = w.grad()](const Tensor& dy) {
    dw.accumulate([&](const Tensor& to, bool add) {
      for (std::int64_t e = 0; e < experts; ++e)
        ops::gemm_tn(part(dy, e, experts), part(xv, e, experts), part(to, e, experts), add);
    });
  };
  return record(std::move(y), {x, w}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
