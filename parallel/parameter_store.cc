#include "parallel/parameter_store.h"

#include <numeric>

#include "ops/fill.h"

namespace fusor {

ParameterStore::ParameterStore(std::vector<Parameter*> forward_order, DType compute,
                               const Device& device, std::int64_t parts)
    : ParameterStore(std::move(forward_order), compute, device, parts, /*train=*/true) {}

ParameterStore ParameterStore::frozen(std::vector<Parameter*> forward_order, DType compute,
                                      const Device& device) {
  return {std::move(forward_order), compute, device, 1, /*train=*/false};
}

ParameterStore::ParameterStore(std::vector<Parameter*> forward_order, DType compute,
                               const Device& device, std::int64_t parts, bool train) {
  for (auto p = forward_order.rbegin(); p != forward_order.rend(); ++p) {
    const std::int64_t size = num_elements((*p)->shape);
    slots_.push_back({*p, size_, size});
    size_ += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  size_ = (size_ + parts * kAlignment - 1) / (parts * kAlignment) * (parts * kAlignment);
  const Scope scope(device, "parameters");
  const auto flat = [&](Owner owner, DType dtype) {
    const Owned owned(device, owner);
    return Tensor({size_}, dtype, device);
  };
  const DType acc = acc_dtype(compute);
  weights_ = flat(Owner::weights, compute);
  if (train) {
    master_ = acc == compute ? weights_ : flat(Owner::optimizer, acc);
    m_ = flat(Owner::optimizer, acc);
    v_ = flat(Owner::optimizer, acc);
    gradients_ = flat(Owner::gradients, acc);
    ops::fill(gradients_, 0);  // the padding between parameters stays zero
  }
  for (const Slot& slot : slots_)
    slot.parameter->var =
        Var::parameter(view(weights_, slot), train ? view(gradients_, slot) : Tensor());
}

Tensor ParameterStore::view(const Tensor& flat, const Slot& slot) const {
  return flat.slice(slot.offset, slot.parameter->shape);
}

std::int64_t ParameterStore::num_parameters() const {
  return std::accumulate(slots_.begin(), slots_.end(), std::int64_t{0},
                         [](std::int64_t sum, const Slot& s) { return sum + s.size; });
}

void ParameterStore::initialize(std::uint64_t seed) const {
  const Tensor& master = master_.defined() ? master_ : weights_;
  for (const Slot& slot : slots_) {
    const Fill& start = slot.parameter->fill;
    const Tensor whole = view(master, slot);
    std::int64_t row = 0;
    for (const Piece& piece : slot.parameter->pieces) {
      const Tensor part = whole.rows(row, row + piece.rows);
      if (start.std > 0)
        ops::fill_normal(part, start.std, random_key(seed, "init/" + piece.name));
      else
        ops::fill(part, start.constant);
      row += piece.rows;
    }
  }
  for (const Tensor& moment : {m_, v_})
    if (moment.defined()) ops::fill(moment, 0);
  refresh_weights();
}

void ParameterStore::refresh_weights() const {
  if (master_.defined() && master_.dtype() != weights_.dtype()) ops::convert(master_, weights_);
}

void ParameterStore::direct_gradients(const Tensor& flat) const {
  for (const Slot& slot : slots_) slot.parameter->var.grad().restart(view(flat, slot));
}

void ParameterStore::restart_gradients() const {
  for (const Slot& slot : slots_) slot.parameter->var.grad().restart();
}

void ParameterStore::zero_unused_gradients() const {
  for (const Slot& slot : slots_)
    if (const Grad& grad = slot.parameter->var.grad(); !grad.filled()) ops::fill(grad.tensor(), 0);
}

std::vector<NamedTensor> ParameterStore::state(bool optimizer) const {
  std::vector<NamedTensor> tensors;
  const auto add = [&](const char* kind, const Tensor& flat) {
    for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) {
      std::int64_t row = 0;
      for (const Piece& piece : slot->parameter->pieces) {
        tensors.push_back(
            {std::string(kind) + "/" + piece.name, view(flat, *slot).rows(row, row + piece.rows)});
        row += piece.rows;
      }
    }
  };
  add("weights", master_.defined() ? master_ : weights_);
  if (optimizer) add("adam.m", m_), add("adam.v", v_);
  return tensors;
}

}  // namespace fusor
