#include "parallel/sharded_linear.h"

#include "ops/gemm.h"
#include "ops/linear.h"
#include "ops/sum_rows.h"
#include "parallel/collectives.h"

namespace fusor {
namespace {

// The rows that this rank holds of each part.
std::vector<Piece> split(std::vector<Piece> parts, const char* suffix, const TensorRegion& region) {
  for (Piece& part : parts) {
    part.whole = part.rows;
    part.rows = region.share(part.rows, part.name + "'s rows");
    part.first = region.tp.rank() * part.rows;
    part.name += suffix;
  }
  return parts;
}

std::int64_t rows_of(const std::vector<Piece>& parts) {
  std::int64_t rows = 0;
  for (const Piece& part : parts) rows += part.rows;
  return rows;
}

Var value_of(const std::optional<Parameter>& b) { return b ? b->var : Var(); }

// y = gather_rows(x) w^T + b, recorded such that of x only the rows of this rank are kept.
Var record_gathering(Tensor y, const Var& x, const Var& w, const Var& b, const Group& tp) {
  Pull pull = [tp, dx = x.grad(), w = w.value()](const Tensor& dy) {
    if (!dx.wanted()) return;
    const Tensor share({dy.dim(0), w.dim(1)}, dy.dtype(), dy.device());
    ops::gemm_nn(dy, w, share, false);
    dx.pass(reduce_scattered(share, tp, "gather_rows_backward"));
  };
  Pull pull_weights = [tp, dw = w.grad(), db = b.grad(), x = x.value()](const Tensor& dy) {
    const Tensor rows = all_gathered(x, tp, "gather_rows_again");
    dw.accumulate([&](auto& to, bool add) { ops::gemm_tn(dy, rows, to, add); });
    db.accumulate([&](auto& to, bool add) { ops::sum_rows(to, dy, add); });
  };
  return record(std::move(y), {x, w, b}, std::move(pull), std::move(pull_weights));
}

Var gathering_linear(const Var& x, const Var& w, const Var& b, const Group& tp) {
  const Tensor rows = all_gathered(x.value(), tp, "gather_rows");
  Tensor y = linear(Var::input(rows), Var::input(w.value()), Var::input(b.value())).value();
  return record_gathering(std::move(y), x, w, b, tp);
}

Activated gathering_linear_gelu(const Var& x, const Var& w, const Var& b, const Group& tp) {
  const Tensor rows = all_gathered(x.value(), tp, "gather_rows");
  const Tensor y({rows.dim(0), w.value().dim(0)}, rows.dtype(), rows.device()), z = empty_like(y);
  ops::gemm_nt(rows, w.value(), b.value(), y, ops::Epilogue::gelu_aux, z);
  return {record_gathering(z, x, w, b, tp), y};
}

}  // namespace

Var TensorRegion::enter(const Var& x) const { return sequence ? gather_rows(x, tp) : fork(x, tp); }

Var TensorRegion::leave(Var x) const {
  return sequence ? scatter_rows(x, tp) : join(std::move(x), tp);
}

std::int64_t TensorRegion::share(std::int64_t n, const std::string& what) const {
  require(n % tp.size() == 0, "parallel.tp ", tp.size(), " does not divide ", what, ", ", n);
  return n / tp.size();
}

Var column_linear(const Var& x, const Var& w, const Var& b, const TensorRegion& region) {
  if (region.sequence) return gathering_linear(x, w, b, region.tp);
  return linear(region.enter(x), w, b);
}

namespace {

// X: Var or Activated.
template <class X>
Var leaving_linear(const X& x, const Var& w, const Var& b, const TensorRegion& region) {
  // The first rank's share has the bias; its gradient is that of the sum.
  const Tensor bias = region.tp.rank() == 0 ? b.value() : Tensor();
  Var y = region.leave(linear(x, w, Var::input(bias)));
  if (!b.value().defined()) return y;
  return record(
      y.value(), {y, b}, [sum = y.grad()](const Tensor& dy) { sum.pass(dy); },
      [db = b.grad()](const Tensor& dy) {
        db.accumulate([&](auto& to, bool add) { ops::sum_rows(to, dy, add); });
      });
}

}  // namespace

Var row_linear(const Var& x, const Var& w, const Var& b, const TensorRegion& region) {
  return leaving_linear(x, w, b, region);
}

ColumnLinear::ColumnLinear(const std::vector<Piece>& parts, std::int64_t in, double std, bool bias,
                           const TensorRegion& region)
    : region(region),
      w(split(parts, ".weight", region), {rows_of(split(parts, "", region)), in}, {.std = std}) {
  if (bias) b.emplace(split(parts, ".bias", region), Shape{w.shape[0]}, Fill{});
}

Var ColumnLinear::operator()(const Var& x) const {
  return column_linear(x, w, value_of(b), region);
}

Activated ColumnLinear::gelu(const Var& x) const {
  if (region.sequence && x.tape()) return gathering_linear_gelu(x, w, value_of(b), region.tp);
  return linear_gelu(region.enter(x), w, value_of(b));
}

RowLinear::RowLinear(const std::string& name, std::int64_t in, std::int64_t out, double std,
                     bool bias, const TensorRegion& region)
    : region(region),
      w(name + ".weight", {out, region.share(in, name + "'s columns")}, {.std = std}) {
  w.first_column = region.tp.rank() * w.shape[1];
  w.whole_columns = in;
  if (!bias) return;
  b.emplace(name + ".bias", Shape{out}, Fill{});
  b->partial_over_tp = region.sequence;
}

Var RowLinear::operator()(const Var& x) const { return row_linear(x, w, value_of(b), region); }

Var RowLinear::operator()(const Activated& x) const {
  return leaving_linear(x, w, value_of(b), region);
}

}  // namespace fusor
