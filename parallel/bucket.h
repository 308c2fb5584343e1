#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/mesh.h"
#include "parallel/parameter.h"

namespace fusor {

// A parameter's place in the flat buffers of its bucket.
struct Slot {
  Parameter* parameter;
  std::int64_t offset, size;  // elements; offsets are multiples of kSlotAlignment
  std::int64_t extent;        // with the padding behind it
};
inline constexpr std::int64_t kSlotAlignment = 64;

// Another stage of the pipeline has the same weight as `parameter`: the stage at `place` of
// Mesh::pp. The one is the other's twin.
struct Tie {
  Parameter* parameter;
  int place;
};

// Parameters whose buffers are one, in the reverse order of the forward pass: sharded, reduced and
// gathered together.
struct BucketPlan {
  std::vector<Slot> slots;
  std::int64_t size = 0;  // elements of a flat buffer, padding included
  bool expert = false;    // of copies in Mesh::expert_data
  bool partial = false;   // Parameter::partial_over_tp
  bool frozen = false;    // Parameter::frozen: no gradient, no optimizer state
  int main = -1;          // of a twin: the bucket that has its weight, where that is in this store
  int tied_place = -1;    // Tie::place
};

struct StorePlan {
  std::vector<BucketPlan> buckets;     // in the order in which a backward pass completes them
  std::vector<std::vector<int>> uses;  // by part: the buckets that have its weights
};

// Buckets of at least bucket_bytes (of gradients of `element` bytes), or of one part each where
// `by_part`. Experts, what is partial over tp and what is frozen have buckets of their own, and so
// has each weight that is tied: it is laid out the same wherever it lies. Sizes are multiples of
// kSlotAlignment times the number of copies, of which there are `copies`, of experts' weights
// `expert_copies`. Throws Error where a twin's main is neither among the parts nor in the ties.
struct BucketSizes {
  std::int64_t bytes, element;
  bool by_part;
  int copies = 1, expert_copies = 1;
};
StorePlan plan_buckets(const std::vector<std::vector<Parameter*>>& parts, const BucketSizes&,
                       const std::vector<Tie>& ties);

// The ranks with copies of a bucket: those that split a copy between them, times the copies. Rank
// (s, r) of shard and replicas keeps slice s of a buffer; of that it alone answers for piece r.
struct CopyGroups {
  Group all, shard, replicas;

  static CopyGroups of(const Mesh&, bool expert, bool sharded);
  std::int64_t slice_size(std::int64_t size) const { return size / shard.size(); }
  std::int64_t slice_begin(std::int64_t size) const { return slice_size(size) * shard.rank(); }
  std::int64_t piece_size(std::int64_t size) const { return size / all.size(); }
  std::int64_t piece_begin(std::int64_t size) const {
    return slice_begin(size) + piece_size(size) * replicas.rank();
  }
};

// A bucket's memory on this rank. Undefined: not here (of a twin: see its main).
struct Bucket {
  std::string name;  // "bucket.3"
  BucketPlan plan;
  CopyGroups groups{};
  int zero = 0;  // what is sharded; 0 where there is one rank to do so
  DType compute;
  Device device;
  // weights [size], compute dtype; bytes come and go at zero = 3. kept [slice]: this rank's slice,
  // part of weights below that. master [slice], acc dtype: kept itself where dtypes agree.
  Tensor weights{}, kept{}, master{};
  Tensor m{}, v{};    // [slice], acc dtype; undefined of what is frozen, as is its gradient
  Tensor gradient{};  // [slice], acc dtype: the sum over micro-batches and copies, when reduced

  Tensor slice(const Tensor& flat) const {  // this rank's, of a buffer [size]
    return flat.slice(groups.slice_begin(plan.size), {groups.slice_size(plan.size)});
  }
};

// Elements [begin, end) of a slot, padding included, at element `at` of its bucket's slice. They
// are as many on every rank, so that the ranks' rehearsals are alike.
struct SlotRange {
  const Slot* slot;
  std::int64_t begin, end, at;

  Tensor of(const Tensor& slice) const { return slice.slice(at, {end - begin}); }
};

// What a bucket's slice holds on this rank.
std::vector<SlotRange> kept_ranges(const Bucket&);
// What of that this rank alone answers for: over all ranks each element of a weight once. Copies
// over tp are place 0's; a twin's are its main's.
std::vector<SlotRange> own_ranges(const Bucket&, int tp_place);

}  // namespace fusor
