#include "parallel/parameter_store.h"

#include "ops/fill.h"
#include "parallel/parameter_range.h"

namespace fusor {

ParameterStore::ParameterStore(const std::vector<std::vector<Parameter*>>& parts,
                               const StoreOptions& options, const Mesh& mesh, const Device& device)
    : ParameterStore(parts, options, mesh, device, /*train=*/true) {}

ParameterStore ParameterStore::frozen(const std::vector<Parameter*>& parameters, DType compute,
                                      const Device& device) {
  return {{parameters}, {.compute = compute}, Mesh(), device, /*train=*/false};
}

ParameterStore::ParameterStore(const std::vector<std::vector<Parameter*>>& parts,
                               const StoreOptions& options, const Mesh& mesh, const Device& device,
                               bool train)
    : tp_place_(mesh.tp.rank()), micros_(options.micros) {
  require(options.zero >= 0 && options.zero <= 3, "there is no zero = ", options.zero);
  StorePlan plan =
      plan_buckets(parts,
                   {.bytes = options.bucket_bytes,
                    .element = static_cast<std::int64_t>(size_of(acc_dtype(options.compute))),
                    .by_part = options.zero == 3,
                    .copies = mesh.data.size(),
                    .expert_copies = mesh.expert_data.size()},
                   options.ties);
  uses_ = std::move(plan.uses);
  const Scope scope(device, "parameters");
  for (BucketPlan& p : plan.buckets) {
    Bucket& bucket =
        buckets_.emplace_back(Bucket{.name = "bucket." + std::to_string(buckets_.size()),
                                     .plan = std::move(p),
                                     .groups = {},
                                     .compute = options.compute,
                                     .device = device});
    bucket.groups = CopyGroups::of(mesh, bucket.plan.expert, options.zero > 0);
    bucket.zero = bucket.groups.shard.size() > 1 ? options.zero : 0;
    if (bucket.plan.main < 0) allocate(bucket, train);
  }
  for (const Bucket& bucket : buckets_) bind(bucket, train);
  gathering_.resize(buckets_.size());
  if (train)
    reducer_ =
        std::make_unique<GradientReducer>(buckets_, options.reduce, options.micros, mesh.shape.cp);
}

void ParameterStore::allocate(Bucket& bucket, bool train) const {
  const DType acc = acc_dtype(bucket.compute);
  const std::int64_t size = bucket.plan.size, slice = bucket.groups.slice_size(size);
  const auto flat = [&](Owner owner, std::int64_t n, DType dtype) {
    const Owned owned(bucket.device, owner);
    return Tensor({n}, dtype, bucket.device);
  };
  if (bucket.zero == 3) {
    bucket.weights = Tensor::dropped({size}, bucket.compute, bucket.device);
    bucket.kept = flat(Owner::weights, slice, bucket.compute);
  } else {
    bucket.weights = flat(Owner::weights, size, bucket.compute);
    bucket.kept = bucket.slice(bucket.weights);
  }
  bucket.master = bucket.kept;
  if (!train) return;
  if (acc != bucket.compute) bucket.master = flat(Owner::optimizer, slice, acc);
  if (bucket.plan.frozen) return;
  bucket.m = flat(Owner::optimizer, slice, acc);
  bucket.v = flat(Owner::optimizer, slice, acc);
}

void ParameterStore::bind(const Bucket& bucket, bool train) const {
  const Bucket& main =
      bucket.plan.main < 0 ? bucket : buckets_[static_cast<std::size_t>(bucket.plan.main)];
  for (const Slot& slot : bucket.plan.slots) {
    const Tensor weight = main.weights.slice(slot.offset, slot.parameter->shape);
    const bool trains = train && !bucket.plan.frozen;
    slot.parameter->var = trains ? Var::trained(weight) : Var::parameter(weight);
  }
}

void ParameterStore::initialize(std::uint64_t seed) const {
  for (const Bucket& bucket : buckets_) {
    if (bucket.plan.main >= 0) continue;
    for (const SlotRange& part : kept_ranges(bucket)) {
      const Fill& start = part.slot->parameter->fill;
      std::int64_t at = part.at;
      for (const PieceRange& range : ranges_of(*part.slot->parameter, part.begin, part.end)) {
        const Tensor to = bucket.master.slice(at, {range.size()});
        at += range.size();
        if (start.std > 0)
          ops::fill_normal(to, start.std, random_key(seed, "init/" + range.piece->name),
                           range.indices());
        else
          ops::fill(to, start.constant);
      }
    }
    for (const Tensor& moment : {bucket.m, bucket.v})
      if (moment.defined()) ops::fill(moment, 0);
  }
  publish();
}

void ParameterStore::publish() const {
  for (const Bucket& bucket : buckets_) {
    if (bucket.plan.main >= 0) continue;
    if (bucket.master.dtype() != bucket.compute) ops::convert(bucket.master, bucket.kept);
    if (bucket.zero < 3)
      bucket.groups.shard->all_gather(bucket.kept, bucket.weights, "weights/" + bucket.name).wait();
  }
}

void ParameterStore::begin_gather(std::size_t b) {
  const Bucket& bucket = buckets_[b];
  const Owned owned(bucket.device, Owner::weights);
  bucket.weights.refill();
  gathering_[b].begun = true;
  gathering_[b].pending =
      bucket.groups.shard->all_gather(bucket.kept, bucket.weights, "weights/" + bucket.name);
}

void ParameterStore::prefetch(int part) {
  for (const int use : uses_.at(static_cast<std::size_t>(part))) {
    const auto b = static_cast<std::size_t>(use);
    if (buckets_[b].zero == 3 && !gathering_[b].begun) begin_gather(b);
  }
}

void ParameterStore::fetch(int part) {
  prefetch(part);
  for (const int use : uses_.at(static_cast<std::size_t>(part))) {
    Gathering& gathering = gathering_[static_cast<std::size_t>(use)];
    ++gathering.users;
    gathering.pending.wait();
  }
}

void ParameterStore::release(int part) {
  for (const int use : uses_.at(static_cast<std::size_t>(part))) {
    const auto b = static_cast<std::size_t>(use);
    require(gathering_[b].users > 0, "a part's weights are released more often than fetched");
    if (--gathering_[b].users > 0 || buckets_[b].zero < 3) continue;
    buckets_[b].weights.drop();
    gathering_[b].begun = false;
  }
}

void ParameterStore::append_state(const char* kind, Tensor Bucket::*buffer, bool share,
                                  std::vector<StateBox>& boxes) const {
  for (auto bucket = buckets_.rbegin(); bucket != buckets_.rend(); ++bucket) {
    if (bucket->plan.main >= 0) continue;
    const Tensor& slice = (*bucket).*buffer;
    if (!slice.defined()) continue;
    const auto ranges = share ? own_ranges(*bucket, tp_place_) : kept_ranges(*bucket);
    for (auto part = ranges.rbegin(); part != ranges.rend(); ++part) {
      const bool has_moments = part->slot->parameter->running_rate == 0;
      if (!has_moments && (buffer == &Bucket::m || buffer == &Bucket::v)) continue;
      std::int64_t at = part->at;
      for (PieceRange& range : ranges_of(*part->slot->parameter, part->begin, part->end)) {
        range.box.name = std::string(kind) + "/" + range.piece->name;
        range.box.dtype = slice.dtype();
        for (TensorBox& box : boxes_of_range(range.box, range.begin, range.end)) {
          const std::int64_t size = num_elements(box.shape);
          boxes.push_back({std::move(box), slice.slice(at, {size})});
          at += size;
        }
      }
    }
  }
}

std::vector<StateBox> ParameterStore::state(bool optimizer, bool share) const {
  std::vector<StateBox> boxes;
  append_state("weights", &Bucket::master, share, boxes);
  if (!optimizer) return boxes;
  append_state("adam.m", &Bucket::m, share, boxes);
  append_state("adam.v", &Bucket::v, share, boxes);
  return boxes;
}

std::vector<StateBox> ParameterStore::state(bool optimizer) const {
  return state(optimizer, false);
}

std::vector<StateBox> ParameterStore::share_of_state(bool optimizer) const {
  return state(optimizer, true);
}

std::vector<StateBox> ParameterStore::gradients() const {
  std::vector<StateBox> boxes;
  append_state("gradients", &Bucket::gradient, false, boxes);
  return boxes;
}

}  // namespace fusor
