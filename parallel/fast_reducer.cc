#include "parallel/gradient_reducer.h"

namespace fusor {
namespace {

class FastReducer final : public GradientReducer {
 public:
  FastReducer(const ParameterStore& store, const Group& dp, std::int64_t micros,
              std::int64_t bucket_bytes)
      : store_(store), dp_(dp), micros_(micros) {
    if (dp_.size() == 1) return;
    const auto element = static_cast<std::int64_t>(size_of(store.gradients().dtype()));
    for (const ParameterStore::Slot& slot : store.slots()) {
      if (buckets_.empty() || (slot.offset - buckets_.back().begin) * element >= bucket_bytes)
        buckets_.push_back({.begin = slot.offset});
      Bucket& bucket = buckets_.back();
      bucket.end = slot.offset + slot.size;
      ++bucket.missing;
    }
    std::size_t b = 0;
    for (const ParameterStore::Slot& slot : store.slots()) {
      while (slot.offset >= buckets_[b].end) ++b;
      slot.parameter->var.grad().on_ready([this, b] { on_ready(buckets_[b]); });
    }
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      buckets_[i].name = "gradients/bucket." + std::to_string(i);
      buckets_[i].parameters = buckets_[i].missing;
    }
  }

  ~FastReducer() override {
    for (const ParameterStore::Slot& slot : store_.slots()) slot.parameter->var.grad().on_ready({});
  }

  void begin_micro(std::int64_t i) override {
    if (i == 0) store_.restart_gradients();
    last_ = i == micros_ - 1;
  }
  // What is still to be sent goes now, so that a call between this and finish() is at the same
  // place in every rank's order.
  void end_micro(std::int64_t) override {
    if (!last_) return;
    store_.zero_unused_gradients();
    while (next_ < buckets_.size()) send_next();
  }

  void finish() override {
    for (Bucket& bucket : buckets_) {
      bucket.pending.wait();
      bucket.missing = bucket.parameters;
    }
    next_ = 0;
  }

 private:
  struct Bucket {
    std::int64_t begin = 0, end = 0;  // elements of the flat gradients
    int parameters = 0, missing = 0;  // gradients in it; still to come in this backward pass
    std::string name{};
    Pending pending{};
  };

  // Buckets go out in their order, whatever order they fill in: the same on every rank, even when a
  // rank's samples leave some weights unused.
  void on_ready(Bucket& bucket) {
    if (!last_) return;
    --bucket.missing;
    while (next_ < buckets_.size() && buckets_[next_].missing == 0) send_next();
  }
  void send_next() {
    Bucket& bucket = buckets_[next_++];
    const Tensor part = store_.gradients().slice(bucket.begin, {bucket.end - bucket.begin});
    bucket.pending = dp_->all_reduce(part, ReduceOp::sum, bucket.name);
  }

  const ParameterStore& store_;
  Group dp_;
  std::int64_t micros_;
  bool last_ = false;
  std::vector<Bucket> buckets_;
  std::size_t next_ = 0;  // the first bucket not yet sent
};

}  // namespace

std::unique_ptr<GradientReducer> make_fast_reducer(const ParameterStore& store, const Group& dp,
                                                   std::int64_t micros, std::int64_t bucket_bytes) {
  return std::make_unique<FastReducer>(store, dp, micros, bucket_bytes);
}

}  // namespace fusor
