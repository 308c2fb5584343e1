#include "models/class_loss.h"

#include <array>

#include "ops/add.h"
#include "ops/soft_cross_entropy.h"

namespace fusor {
namespace {

constexpr std::array<std::int64_t, 2> kRanks{1, 5};

MixedLabels labels_of(const Batch& batch) {
  if (!batch.has("other_label")) return {batch.flat("label")};
  return {batch.flat("label"), batch.flat("other_label"), batch.flat("label_share")};
}

}  // namespace

Var class_loss(std::int64_t classes, double smoothing, const Var& logits, const Batch& batch,
               const Pass& pass) {
  if (pass.tape)
    return soft_cross_entropy(logits, soft_targets(labels_of(batch), classes, smoothing));
  const Tensor labels = batch.flat("label");
  const Tensor sums({1 + std::ssize(kRanks)}, DType::f64, logits.device());
  const Var loss = soft_cross_entropy(logits, soft_targets({labels}, classes));
  ops::add_into(sums.rows(0, 1), loss.value(), false);
  top_k_hits(logits.value(), labels, kRanks, sums.rows(1, sums.size()));
  return Var::input(sums);
}

std::vector<std::string> class_measures() { return {"top1", "top5"}; }

}  // namespace fusor
