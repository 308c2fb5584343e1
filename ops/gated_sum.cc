#include "ops/gated_sum.h"

#include <algorithm>

#include "ops/gated_sum_kernels.h"

namespace fusor {
namespace {

using ops::kernels::Modalities;
using ops::kernels::ModalityValues;

// What forward and backward know of the modalities; the tensors live as long as this.
struct Joined {
  std::vector<Tensor> values;
  Tensor present, share;
  Modalities modalities;

  template <class T>
  ModalityValues<T> pointers() const {
    ModalityValues<T> at{};
    for (std::size_t m = 0; m < values.size(); ++m)
      at.at[m] = values[m].defined() ? values[m].data<T>() : nullptr;
    return at;
  }
  // Of reading all values once and `written` elements more.
  Cost cost(std::int64_t written) const {
    Cost cost;
    for (const Tensor& value : values)
      if (value.defined()) {
        cost.flops += 2 * static_cast<double>(value.size());
        cost.bytes += static_cast<double>(value.bytes());
      }
    cost.bytes += static_cast<double>(written) * static_cast<double>(size_of(share.dtype()));
    return cost;
  }
};

const Tensor& first_of(const std::vector<Var>& values) {
  const auto there = [](const Var& v) { return v.value().defined(); };
  const auto found = std::ranges::find_if(values, there);
  require(found != values.end(), "gated_sum: none of ", values.size(), " values is there");
  return found->value();
}

void check(const std::vector<Var>& values, const Var& gates, const Tensor& present) {
  const Tensor& first = first_of(values);
  require(values.size() <= ops::kernels::kMostModalities, "gated_sum: ", values.size(),
          " values, but at most ", ops::kernels::kMostModalities);
  require(first.rank() == 2, "gated_sum: values ", first.shape());
  for (const Var& v : values)
    require(!v.value().defined() || v.shape() == first.shape(), "gated_sum: values ", first.shape(),
            " and ", v.shape());
  const Shape of_gates{first.dim(0), std::ssize(values)};
  require(!gates.value().defined() || gates.shape() == of_gates, "gated_sum: values ",
          first.shape(), " but gates ", gates.shape(), ", not ", of_gates);
  require(present.dtype() == DType::i32 && present.size() == first.dim(0), "gated_sum: values ",
          first.shape(), " but present ", present.shape(), " ", present.dtype());
}

Joined join(const std::vector<Var>& values, const Var& gates, const Tensor& present) {
  check(values, gates, present);
  const Tensor& first = first_of(values);
  Joined joined{
      .values = {},
      .present = present,
      .share = Tensor({first.dim(0), std::ssize(values)}, acc_dtype(first.dtype()), first.device()),
      .modalities = {first.dim(0), first.dim(1), static_cast<int>(values.size()), 0,
                     present.data<std::int32_t>()}};
  for (std::size_t m = 0; m < values.size(); ++m) {
    joined.values.push_back(values[m].value());
    if (values[m].value().defined()) joined.modalities.there |= 1U << m;
  }
  const Tensor& of_gates = gates.value();
  const Cost cost{.flops = 4 * static_cast<double>(joined.share.size()),
                  .bytes = 2 * static_cast<double>(joined.share.bytes())};
  launch(first.device(), "modality_shares", cost, [&](auto device) {
    on_float(first.dtype(), [&]<class T> {
      ops::kernels::modality_shares(device, joined.modalities,
                                    of_gates.defined() ? of_gates.data<T>() : nullptr,
                                    joined.share.data<acc_t<T>>());
    });
  });
  return joined;
}

void value_backward(const Joined& joined, int m, const Tensor& dy, const Tensor& dx, bool add) {
  const Cost cost{.flops = static_cast<double>(dx.size()),
                  .bytes = static_cast<double>(dx.bytes()) * (add ? 3 : 2)};
  launch(dy.device(), "gated_sum_backward", cost, [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::gated_sum_backward(device, joined.modalities, m, joined.share.data<acc_t<T>>(),
                                       dy.data<T>(), dx.data<T>(), add);
    });
  });
}

void gates_backward(const Joined& joined, const Tensor& dy, const Tensor& dgates, bool add) {
  launch(dy.device(), "gates_backward", joined.cost(dy.size()), [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::gates_backward(device, joined.modalities, joined.share.data<acc_t<T>>(),
                                   joined.pointers<T>(), dy.data<T>(), dgates.data<T>(), add);
    });
  });
}

}  // namespace

Var gated_sum(const std::vector<Var>& values, const Var& gates, const Tensor& present) {
  Joined joined = join(values, gates, present);
  Tensor y = empty_like(first_of(values));
  launch(y.device(), "gated_sum", joined.cost(y.size()), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::gated_sum(device, joined.modalities, joined.share.data<acc_t<T>>(),
                              joined.pointers<T>(), y.data<T>());
    });
  });
  std::vector<Grad> grads;
  std::vector<Var> inputs;
  for (const Var& v : values) {
    grads.push_back(v.value().defined() ? v.grad() : Grad());
    if (v.value().defined()) inputs.push_back(v);
  }
  if (gates.value().defined()) inputs.push_back(gates);
  return record(
      std::move(y), inputs,
      [joined = std::move(joined), grads, dgates = gates.grad()](const Tensor& dy) {
        for (std::size_t m = 0; m < grads.size(); ++m)
          grads[m].accumulate([&](const Tensor& to, bool add) {
            value_backward(joined, static_cast<int>(m), dy, to, add);
          });
        dgates.accumulate([&](const Tensor& to, bool add) { gates_backward(joined, dy, to, add); });
      });
}

}  // namespace fusor
