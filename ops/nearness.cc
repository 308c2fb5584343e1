#include "ops/nearness.h"

#include "ops/columns.h"
#include "ops/gemm.h"
#include "ops/nearness_kernels.h"

namespace fusor {
namespace {

// The g-th of `groups` equal runs of rows.
Tensor part(const Tensor& t, std::int64_t g, std::int64_t groups) {
  const std::int64_t rows = t.dim(0) / groups;
  return t.rows(g * rows, (g + 1) * rows);
}

Cost distance_cost(const Tensor& q, const Tensor& c, const Tensor& y, double flops) {
  return {.flops = flops * static_cast<double>(y.size() * q.dim(1)),
          .bytes = static_cast<double>(q.bytes() + c.bytes() + y.bytes())};
}

void check(const char* op, const Tensor& q, const Tensor& c, Nearness kind) {
  require(q.rank() == 2 && c.rank() == 2 && q.dim(1) == c.dim(1) && q.dtype() == c.dtype(), op,
          ": queries ", q.shape(), " ", q.dtype(), " and candidates ", c.shape(), " ", c.dtype());
  require(kind != Nearness::moduli || q.dim(1) % 2 == 0, op,
          ": complex numbers take two columns each, so not ", q.dim(1));
}

void distances(const Tensor& q, const Tensor& c, Nearness kind, const Tensor& y) {
  launch(y.device(), "candidate_scores", distance_cost(q, c, y, 3), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::candidate_scores(device, {kind, q.dim(0), c.dim(0), q.dim(1)}, q.data<T>(),
                                     c.data<T>(), y.data<T>());
    });
  });
}

// Scores [rows of x, rows of z] seen from x: the queries, or with `turned` the candidates.
struct Scores {
  Tensor dy, y;
  bool turned;
};

void distances_backward(const Scores& s, const Tensor& x, const Tensor& z, Nearness kind,
                        const Tensor& dx, bool add) {
  const std::int64_t row = s.dy.dim(1);
  const ops::kernels::NearnessStrides strides =
      s.turned ? ops::kernels::NearnessStrides{1, row} : ops::kernels::NearnessStrides{row, 1};
  launch(dx.device(), "candidate_scores_backward", distance_cost(x, z, s.dy, 4), [&](auto device) {
    on_float(dx.dtype(), [&]<class T> {
      ops::kernels::candidate_scores_backward(device, {kind, x.dim(0), z.dim(0), x.dim(1)}, strides,
                                              s.dy.data<T>(), s.y.data<T>(), x.data<T>(),
                                              z.data<T>(), dx.data<T>(), add);
    });
  });
}

// dc += dy^T q, whose product is in the accumulator's dtype.
void dots_backward_candidates(const Tensor& dy, const Tensor& q, const Tensor& dc, bool add) {
  if (dc.dtype() == acc_dtype(dc.dtype())) return ops::gemm_tn(dy, q, dc, add);
  const Tensor product(dc.shape(), acc_dtype(dc.dtype()), dc.device());
  ops::gemm_tn(dy, q, product, false);
  ops::copy_columns({product, 0, dc.dim(1)}, {dc, 0, dc.dim(1)}, add);
}

void pairs_backward(const Tensor& dy, const Tensor& y, const Tensor& x, const Tensor& z,
                    Nearness kind, const Tensor& dx, bool add) {
  launch(dx.device(), "pair_scores_backward", distance_cost(x, z, dy, 4), [&](auto device) {
    on_float(dx.dtype(), [&]<class T> {
      ops::kernels::pair_scores_backward(device, {kind, x.dim(0), 1, x.dim(1)}, dy.data<T>(),
                                         y.data<T>(), x.data<T>(), z.data<T>(), dx.data<T>(), add);
    });
  });
}

}  // namespace

Var candidate_scores(const Var& q, const Var& c, std::int64_t groups, Nearness kind) {
  const Tensor &qv = q.value(), &cv = c.value();
  check("candidate_scores", qv, cv, kind);
  require(groups > 0 && qv.dim(0) % groups == 0 && cv.dim(0) % groups == 0,
          "candidate_scores: ", qv.dim(0), " queries and ", cv.dim(0), " candidates in ", groups,
          " groups");
  Tensor y({qv.dim(0), cv.dim(0) / groups}, qv.dtype(), qv.device());
  for (std::int64_t g = 0; g < groups; ++g)
    if (kind == Nearness::dot)
      ops::gemm_nt(part(qv, g, groups), part(cv, g, groups), {}, part(y, g, groups));
    else
      distances(part(qv, g, groups), part(cv, g, groups), kind, part(y, g, groups));
  const Tensor kept = kind == Nearness::l2 ? y : Tensor();  // the distances, to divide by
  return record(std::move(y), {q, c}, [=, dq = q.grad(), dc = c.grad()](const Tensor& dy) {
    const auto scores = [&](std::int64_t g, bool turned) {
      return Scores{part(dy, g, groups), part(kept.defined() ? kept : dy, g, groups), turned};
    };
    dq.accumulate([&](const Tensor& to, bool add) {
      for (std::int64_t g = 0; g < groups; ++g)
        if (kind == Nearness::dot)
          ops::gemm_nn(part(dy, g, groups), part(cv, g, groups), part(to, g, groups), add);
        else
          distances_backward(scores(g, false), part(qv, g, groups), part(cv, g, groups), kind,
                             part(to, g, groups), add);
    });
    dc.accumulate([&](const Tensor& to, bool add) {
      for (std::int64_t g = 0; g < groups; ++g)
        if (kind == Nearness::dot)
          dots_backward_candidates(part(dy, g, groups), part(qv, g, groups), part(to, g, groups),
                                   add);
        else
          distances_backward(scores(g, true), part(cv, g, groups), part(qv, g, groups), kind,
                             part(to, g, groups), add);
    });
  });
}

Var pair_scores(const Var& q, const Var& c, Nearness kind) {
  const Tensor &qv = q.value(), &cv = c.value();
  check("pair_scores", qv, cv, kind);
  require(qv.dim(0) == cv.dim(0), "pair_scores: ", qv.shape(), " beside ", cv.shape());
  Tensor y({qv.dim(0)}, qv.dtype(), qv.device());
  launch(y.device(), "pair_scores", distance_cost(qv, cv, y, 3), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::pair_scores(device, {kind, qv.dim(0), 1, qv.dim(1)}, qv.data<T>(), cv.data<T>(),
                                y.data<T>());
    });
  });
  const Tensor kept = kind == Nearness::l2 ? y : Tensor();
  return record(std::move(y), {q, c}, [=, dq = q.grad(), dc = c.grad()](const Tensor& dy) {
    const Tensor& distances = kept.defined() ? kept : dy;
    dq.accumulate(
        [&](const Tensor& to, bool add) { pairs_backward(dy, distances, qv, cv, kind, to, add); });
    dc.accumulate(
        [&](const Tensor& to, bool add) { pairs_backward(dy, distances, cv, qv, kind, to, add); });
  });
}

}  // namespace fusor
