#include "ops/relate.h"

#include "ops/relate_kernels.h"

namespace fusor {
namespace {

Cost relate_cost(const Tensor& e, const Tensor& r, double passes) {
  return {.flops = 4.0 * passes * static_cast<double>(e.size()),
          .bytes = passes * static_cast<double>(2 * e.bytes() + r.bytes())};
}

ops::kernels::RelateSize size_of(const Tensor& q, const Tensor& inverse, Relating kind) {
  return {kind, q.dim(0), q.dim(1), inverse.defined() ? inverse.data<std::int32_t>() : nullptr};
}

void to_entity(const Tensor& dq, const Tensor& r, const Tensor& inverse, Relating kind,
               const Tensor& de, bool add) {
  launch(dq.device(), "relate_backward_entity", relate_cost(dq, r, add ? 1.5 : 1),
         [&](auto device) {
           on_float(dq.dtype(), [&]<class T> {
             ops::kernels::relate_backward_entity(device, size_of(dq, inverse, kind), dq.data<T>(),
                                                  r.data<T>(), de.data<T>(), add);
           });
         });
}

void to_relation(const Tensor& dq, const Tensor& e, const Tensor& r, const Tensor& inverse,
                 Relating kind, const Tensor& dr, bool add) {
  launch(
      dq.device(), "relate_backward_relation", relate_cost(dq, r, add ? 2 : 1.5), [&](auto device) {
        on_float(dq.dtype(), [&]<class T> {
          ops::kernels::relate_backward_relation(device, size_of(dq, inverse, kind), dq.data<T>(),
                                                 e.data<T>(), r.data<T>(), dr.data<T>(), add);
        });
      });
}

}  // namespace

std::int64_t relation_width(Relating kind, std::int64_t width) {
  const bool complex = kind == Relating::complex || kind == Relating::rotate;
  require(!complex || width % 2 == 0, "complex numbers take two columns each, so not ", width);
  return kind == Relating::rotate ? width / 2 : width;
}

Var relate(const Var& e, const Var& r, const Tensor& inverse, Relating kind) {
  const Tensor &ev = e.value(), &rv = r.value();
  require(ev.rank() == 2 && rv.shape() == Shape{ev.dim(0), relation_width(kind, ev.dim(1))} &&
              rv.dtype() == ev.dtype() &&
              (!inverse.defined() ||
               (inverse.shape() == Shape{ev.dim(0)} && inverse.dtype() == DType::i32)),
          "relate: entities ", ev.shape(), ", relations ", rv.shape(), ", inverse ",
          inverse.defined() ? inverse.shape() : Shape{});
  Tensor q = empty_like(ev);
  launch(q.device(), "relate", relate_cost(ev, rv, 1), [&](auto device) {
    on_float(q.dtype(), [&]<class T> {
      ops::kernels::relate(device, size_of(q, inverse, kind), ev.data<T>(), rv.data<T>(),
                           q.data<T>());
    });
  });
  return record(std::move(q), {e, r}, [=, de = e.grad(), dr = r.grad()](const Tensor& dq) {
    de.accumulate([&](const Tensor& to, bool add) { to_entity(dq, rv, inverse, kind, to, add); });
    dr.accumulate(
        [&](const Tensor& to, bool add) { to_relation(dq, ev, rv, inverse, kind, to, add); });
  });
}

}  // namespace fusor
