#include "parallel/bucket.h"

#include <algorithm>
#include <map>
#include <optional>

#include "parallel/parameter_range.h"

namespace fusor {
namespace {

std::int64_t rounded_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

class Planner {
 public:
  Planner(const std::vector<std::vector<Parameter*>>& parts, const BucketSizes& sizes,
          const std::vector<Tie>& ties)
      : sizes_(sizes) {
    for (const Tie& tie : ties) places_[tie.parameter] = tie.place;
    for (const auto& part : parts)
      for (const Parameter* p : part)
        if (p->twin_of && !places_.contains(p)) tied_.push_back(p->twin_of);
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      for (auto p = part->rbegin(); p != part->rend(); ++p) add(*p);
      if (sizes.by_part) open_ = {};
    }
  }

  StorePlan finish(const std::vector<std::vector<Parameter*>>& parts) {
    StorePlan plan;
    std::ranges::stable_sort(drafts_, {}, &Draft::last);
    for (Draft& draft : drafts_) {
      for (const Slot& slot : draft.plan.slots)
        bucket_of_[slot.parameter] = static_cast<int>(plan.buckets.size());
      const int copies = draft.plan.expert ? sizes_.expert_copies : sizes_.copies;
      draft.plan.size = rounded_up(draft.plan.size, copies * kSlotAlignment);
      draft.plan.slots.back().extent = draft.plan.size - draft.plan.slots.back().offset;
      plan.buckets.push_back(std::move(draft.plan));
    }
    for (BucketPlan& bucket : plan.buckets) {
      const Parameter* p = bucket.slots[0].parameter;
      if (!p->twin_of || bucket.tied_place >= 0) continue;
      require(bucket_of_.contains(p->twin_of), p->pieces[0].name,
              " is a twin, but this stage does not know where the other is");
      bucket.main = bucket_of_[p->twin_of];
    }
    for (const auto& part : parts) plan.uses.push_back(uses_of(part, plan.buckets));
    return plan;
  }

 private:
  // What goes together; tied weights are alone. Those partial over tp lie in the same places on
  // all its ranks, however the words of a vocabulary fall.
  struct Kind {
    bool expert, partial, frozen;
    auto operator<=>(const Kind&) const = default;
  };
  struct Draft {
    BucketPlan plan{};
    int last = 0;  // when its last gradient comes in a backward pass
  };

  void add(Parameter* p) {
    const auto place = places_.find(p);
    const bool tied = p->twin_of || place != places_.end() || std::ranges::count(tied_, p) > 0;
    std::optional<std::size_t>& open = open_[{p->expert, p->partial_over_tp, p->frozen}];
    if (tied || !open) {
      BucketPlan& plan = drafts_.emplace_back().plan;
      plan.expert = p->expert, plan.partial = p->partial_over_tp, plan.frozen = p->frozen;
      if (!tied) open = drafts_.size() - 1;
    }
    Draft& draft = tied ? drafts_.back() : drafts_[*open];
    draft.last = ++added_;
    BucketPlan& bucket = draft.plan;
    const std::int64_t size = num_elements(p->shape);
    bucket.slots.push_back({p, bucket.size, size, rounded_up(size, kSlotAlignment)});
    bucket.size += bucket.slots.back().extent;
    if (place != places_.end()) bucket.tied_place = place->second;
    if (!tied && !sizes_.by_part && bucket.size * sizes_.element >= sizes_.bytes) open.reset();
  }

  std::vector<int> uses_of(const std::vector<Parameter*>& part,
                           const std::vector<BucketPlan>& buckets) const {
    std::vector<int> uses;
    for (const Parameter* p : part) {
      const int b = bucket_of_.at(p), main = buckets[static_cast<std::size_t>(b)].main;
      if (const int used = main >= 0 ? main : b; !std::ranges::count(uses, used))
        uses.push_back(used);
    }
    return uses;
  }

  const BucketSizes sizes_;
  std::map<const Parameter*, int> places_, bucket_of_;
  std::vector<const Parameter*> tied_;               // whose twins are in this store
  std::map<Kind, std::optional<std::size_t>> open_;  // the bucket still to be filled
  std::vector<Draft> drafts_;
  int added_ = 0;
};

}  // namespace

StorePlan plan_buckets(const std::vector<std::vector<Parameter*>>& parts, const BucketSizes& sizes,
                       const std::vector<Tie>& ties) {
  return Planner(parts, sizes, ties).finish(parts);
}

namespace {

// Elements [begin, begin + size) of a bucket's flat buffers.
std::vector<SlotRange> ranges(const Bucket& bucket, std::int64_t begin, std::int64_t size) {
  const std::int64_t slice = bucket.groups.slice_begin(bucket.plan.size);
  std::vector<SlotRange> found;
  for (const Slot& slot : bucket.plan.slots) {
    const std::int64_t from = std::max(begin, slot.offset),
                       to = std::min(begin + size, slot.offset + slot.extent);
    if (from < to) found.push_back({&slot, from - slot.offset, to - slot.offset, from - slice});
  }
  return found;
}

}  // namespace

std::vector<SlotRange> kept_ranges(const Bucket& bucket) {
  return ranges(bucket, bucket.groups.slice_begin(bucket.plan.size),
                bucket.groups.slice_size(bucket.plan.size));
}

std::vector<SlotRange> own_ranges(const Bucket& bucket, int tp_place) {
  auto own = ranges(bucket, bucket.groups.piece_begin(bucket.plan.size),
                    bucket.groups.piece_size(bucket.plan.size));
  std::erase_if(own, [&](const SlotRange& range) {
    const Parameter& p = *range.slot->parameter;
    return p.twin_of || (tp_place > 0 && !split_over_tp(p));
  });
  return own;
}

CopyGroups CopyGroups::of(const Mesh& mesh, bool expert, bool sharded) {
  const Group& all = expert ? mesh.expert_data : mesh.data;
  if (!sharded) return {all, Group(), all};
  if (expert) return {all, all, Group()};
  return {all, mesh.shard, mesh.replicas};
}

}  // namespace fusor
