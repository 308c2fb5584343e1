#include "parallel/bucket_sum.h"

#include "ops/fill.h"

namespace fusor {
namespace {

Tensor view(const Tensor& flat, const Slot& slot) {
  return flat.slice(slot.offset, slot.parameter->shape);
}

}  // namespace

Tensor BucketSum::slice_of_gradients() const {
  const Owned owned(bucket_.device, Owner::gradients);
  return {
      {bucket_.groups.slice_size(bucket_.plan.size)}, acc_dtype(bucket_.compute), bucket_.device};
}

Tensor BucketSum::gradients() const {
  const Owned owned(bucket_.device, Owner::gradients);
  Tensor flat({bucket_.plan.size}, acc_dtype(bucket_.compute), bucket_.device);
  for (const Slot& slot : bucket_.plan.slots)
    if (slot.extent > slot.size)
      ops::fill(flat.slice(slot.offset + slot.size, {slot.extent - slot.size}), 0);
  return flat;
}

void BucketSum::restart(const Tensor& flat) const {
  for (const Slot& slot : bucket_.plan.slots) slot.parameter->var.grad().restart(view(flat, slot));
}

void BucketSum::restart_later(Tensor& flat) const {
  for (const Slot& slot : bucket_.plan.slots)
    slot.parameter->var.grad().restart([this, &flat, &slot] {
      if (!flat.defined()) flat = gradients();
      return view(flat, slot);
    });
}

void BucketSum::zero_unused(Tensor& flat) const {
  if (!flat.defined()) flat = gradients();
  for (const Slot& slot : bucket_.plan.slots)
    if (!slot.parameter->var.grad().filled()) ops::fill(view(flat, slot), 0);
}

}  // namespace fusor
