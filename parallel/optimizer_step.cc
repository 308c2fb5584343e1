#include "parallel/optimizer_step.h"

#include <algorithm>

#include "ops/add.h"
#include "ops/fill.h"
#include "ops/grad_norm.h"
#include "ops/loss_scale.h"
#include "ops/running_mean.h"
#include "runtime/copy.h"

namespace fusor {

OptimizerStep::OptimizerStep(std::vector<ParameterStore*> stores, const LossScaling& scaling,
                             const Mesh& mesh, const Device& device)
    : stores_(std::move(stores)), mesh_(mesh), device_(device), scaling_(scaling) {
  const Owned owned(device, Owner::optimizer);
  const Scope scope(device, "update");
  sum_squares_ = Tensor({ops::ExactSum::kLimbs}, DType::i64, device);
  grad_scale_ = Tensor({1}, DType::f64, device);
  grad_norm_ = Tensor({1}, DType::f64, device);
  numbers_ = Tensor({1 + ops::kAdamWRates}, DType::f64, device);
  if (scaling.scale > 0) {
    loss_scale_ = Tensor({ops::kLossScaleState}, DType::f64, device);
    ops::fill(loss_scale_.rows(0, 1), scaling.scale);
    ops::fill(loss_scale_.rows(1, 2), 0);
  }
  prepared_ = Tensor(numbers_.shape(), DType::f64, Device::staging(device));
}

void OptimizerStep::run(const UpdateSettings& settings, double targets) {
  prepare(settings, targets);
  replay(settings);
}

void OptimizerStep::prepare(const UpdateSettings& settings, double targets) {
  const auto rates = ops::adamw_rates(settings.adamw, settings.lr, settings.step);
  const std::span<double> to = prepared_.host<double>();
  to[0] = 1 / targets;
  std::ranges::copy(rates, to.begin() + 1);
}

void OptimizerStep::replay(const UpdateSettings& settings) {
  copy(prepared_, numbers_);
  for (ParameterStore* store : stores_) store->finish_reduction();
  add_over_tp();
  add_twins();
  clip(settings.clip);
  std::vector<Pending> gathers;
  for (const ParameterStore* store : stores_)
    for (const Bucket& bucket : store->buckets()) {
      if (bucket.plan.main >= 0 || bucket.plan.frozen) continue;
      update(*store, bucket, settings);
      if (bucket.zero < 3)
        gathers.push_back(
            bucket.groups.shard->all_gather(bucket.kept, bucket.weights, "weights/" + bucket.name));
    }
  for (Pending& gather : gathers) gather.wait();
}

// In rank order: an all-reduce may add in another for slices of another size.
void OptimizerStep::add_over_tp() {
  const int ranks = mesh_.tp.size();
  if (ranks == 1) return;
  const Owned owned(device_, Owner::communication);
  for (const ParameterStore* store : stores_)
    for (const Bucket& bucket : store->buckets()) {
      if (!bucket.plan.partial || bucket.plan.frozen) continue;
      const Tensor& mine = bucket.gradient;
      const Tensor all({ranks, mine.size()}, mine.dtype(), device_);
      mesh_.tp->all_gather(mine, all, "gradients/" + bucket.name + " of tp").wait();
      for (int rank = 0; rank < ranks; ++rank)
        ops::add_into(mine, all.rows(rank, rank + 1), /*add=*/rank > 0);
    }
}

void OptimizerStep::add_twins() {
  struct Exchange {
    const Bucket* bucket;
    Tensor other;
    Pending send, receive;
  };
  std::vector<Exchange> exchanges;
  const Owned owned(device_, Owner::communication);
  for (const ParameterStore* store : stores_)
    for (const Bucket& bucket : store->buckets()) {
      if (bucket.plan.frozen) continue;
      if (bucket.plan.main >= 0)
        ops::add_into(store->buckets()[static_cast<std::size_t>(bucket.plan.main)].gradient,
                      bucket.gradient, true);
      if (bucket.plan.tied_place == mesh_.pp.rank()) add_local_twin(bucket);
      if (bucket.plan.tied_place < 0 || bucket.plan.tied_place == mesh_.pp.rank()) continue;
      Exchange& exchange =
          exchanges.emplace_back(Exchange{&bucket, empty_like(bucket.gradient), {}, {}});
      // Named by the weight, so that a job whose ranks exchange several in another order is
      // refused.
      const Parameter* const p = bucket.plan.slots[0].parameter;
      const std::string what = "gradients/twin of " + (p->twin_of ? p->twin_of : p)->pieces[0].name;
      exchange.send = mesh_.pp->send(bucket.gradient, bucket.plan.tied_place, what);
      exchange.receive = mesh_.pp->recv(exchange.other, bucket.plan.tied_place, what);
    }
  for (Exchange& exchange : exchanges) {
    exchange.send.wait();
    exchange.receive.wait();
    ops::add_into(exchange.bucket->gradient, exchange.other, true);  // a + b is b + a, to the bit
  }
}

// Of a twin whose main is in another stage of this rank: both get the sum.
void OptimizerStep::add_local_twin(const Bucket& bucket) {
  const Parameter* main = bucket.plan.slots[0].parameter->twin_of;
  if (!main) return;
  for (const ParameterStore* store : stores_)
    for (const Bucket& other : store->buckets())
      if (other.plan.slots[0].parameter == main) {
        ops::add_into(other.gradient, bucket.gradient, true);
        return ops::add_into(bucket.gradient, other.gradient, false);
      }
  raise(main->pieces[0].name + " is in none of this rank's stages");
}

void OptimizerStep::clip(double max_norm) {
  std::vector<Tensor> own;
  for (const ParameterStore* store : stores_)
    for (const Bucket& bucket : store->buckets())
      for (const SlotRange& range : own_ranges(bucket, mesh_.tp.rank()))
        if (!bucket.plan.frozen && range.slot->parameter->running_rate == 0)
          own.push_back(range.of(bucket.gradient));
  ops::sum_squares(own, sum_squares_);
  mesh_.world->all_reduce(sum_squares_, ReduceOp::sum, "gradients/norm").wait();
  ops::clip_scale(sum_squares_, numbers_.rows(0, 1), max_norm, grad_scale_, grad_norm_,
                  loss_scale_.defined() ? loss_scale_.rows(0, 1) : Tensor());
  if (scaling_.patience > 0) ops::adapt_loss_scale(grad_norm_, loss_scale_, scaling_.patience);
}

void OptimizerStep::update(const ParameterStore& store, const Bucket& bucket,
                           const UpdateSettings& settings) {
  std::vector<ops::AdamWTensor> tensors;
  std::vector<ops::RunningMean> means;
  for (const SlotRange& range : kept_ranges(bucket)) {
    const Tensor weight = range.of(bucket.kept), master = range.of(bucket.master),
                 gradient = range.of(bucket.gradient);
    const Parameter& p = *range.slot->parameter;
    if (p.running_rate > 0)
      means.push_back({weight, master, gradient, p.running_rate});
    else
      tensors.push_back({weight, master, range.of(bucket.m), range.of(bucket.v), gradient,
                         p.decay ? settings.weight_decay : 0});
  }
  ops::adamw(tensors, settings.adamw, numbers_.rows(1, 1 + ops::kAdamWRates), grad_scale_);
  ops::follow_means(means, store.contributions(bucket), grad_scale_);
}

}  // namespace fusor
