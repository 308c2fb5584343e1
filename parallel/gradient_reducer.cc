#include "parallel/gradient_reducer.h"

namespace fusor {

GradientReducer::GradientReducer(std::vector<Bucket>& buckets, Reduce reduce, std::int64_t micros,
                                 int cp) {
  entries_.reserve(buckets.size());
  for (Bucket& bucket : buckets) {
    if (bucket.plan.frozen) continue;
    Entry& entry = entries_.emplace_back();
    entry.plan = &bucket.plan;
    entry.sum = reduce == Reduce::exact ? make_exact_sum(bucket, micros, cp)
                                        : make_fast_sum(bucket, micros);
    // Buckets go in their order, whatever order they fill in: the same on every rank, even when a
    // rank's samples leave some weights unused.
    for (const Slot& slot : bucket.plan.slots)
      slot.parameter->var.grad().on_ready([this, &entry] {
        if (entry.missing > 0) --entry.missing;
        while (next_ < entries_.size() && entries_[next_].missing == 0) reduce_next();
      });
  }
  next_ = entries_.size();
}

GradientReducer::~GradientReducer() {
  for (const Entry& entry : entries_)
    for (const Slot& slot : entry.plan->slots) slot.parameter->var.grad().on_ready({});
}

void GradientReducer::begin_micro(std::int64_t i) {
  micro_ = i;
  next_ = 0;
  for (Entry& entry : entries_) {
    entry.missing = entry.plan->slots.size();
    entry.sum->direct(i);
  }
}

void GradientReducer::reduce_next() {
  entries_[next_].sum->reduce(micro_);
  if (next_ > 0) entries_[next_ - 1].sum->settle(micro_);
  ++next_;
}

// What is still to be reduced goes now, so that a call between this and finish() is at the same
// place in every rank's order.
void GradientReducer::end_micro(std::int64_t) {
  while (next_ < entries_.size()) reduce_next();
  if (!entries_.empty()) entries_.back().sum->settle(micro_);
}

void GradientReducer::finish() {
  for (std::size_t b = 0; b < entries_.size(); ++b) {
    entries_[b].sum->start();
    if (b > 0) entries_[b - 1].sum->finish();
  }
  if (!entries_.empty()) entries_.back().sum->finish();
}

}  // namespace fusor
