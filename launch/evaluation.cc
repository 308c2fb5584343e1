#include "launch/evaluation.h"

#include <algorithm>

#include "ops/exact_sum.h"
#include "runtime/copy.h"

namespace fusor {

void StagedBatch::fill(const BatchShape& shape, const BatchSource& next) {
  auto found = staged_.find(shape.name);
  if (found == staged_.end())
    found = staged_.emplace(shape.name, Batch::empty(shape, Device::staging(device_))).first;
  current_ = &found->second;
  num_targets_ = next ? next(*current_) : 0;
}

Batch StagedBatch::upload() const {
  const Owned owned(device_, Owner::input);
  Batch batch = Batch::empty(current_->shape, device_);
  for (std::size_t i = 0; i < batch.values.size(); ++i) copy(current_->values[i], batch.values[i]);
  return batch;
}

std::vector<std::vector<double>> gather_numbers(const Group& group, const std::vector<double>& mine,
                                                const char* what) {
  const auto n = static_cast<std::int64_t>(mine.size());
  const Tensor in({n}, DType::f64), out({n * group.size()}, DType::f64);
  std::copy(mine.begin(), mine.end(), in.host<double>().begin());
  group->all_gather(in, out, what).wait();
  std::vector<std::vector<double>> all;
  for (int rank = 0; rank < group.size(); ++rank) {
    const auto part = out.slice(rank * n, {n}).host<double>();
    all.emplace_back(part.begin(), part.end());
  }
  return all;
}

double sum_over_ranks(const Group& group, const std::vector<double>& mine, const char* what) {
  const Tensor limbs({ops::ExactSum::kLimbs}, DType::i64);
  std::int64_t* const to = limbs.data<std::int64_t>();
  std::fill_n(to, limbs.size(), 0);
  ops::ExactSum sum;
  for (const double x : mine) sum.add(x);
  sum.add_to(to);
  group->all_reduce(limbs, ReduceOp::sum, what).wait();
  return ops::ExactSum::value(to);
}

Evaluation evaluate(const LossOf& loss_of, std::size_t measures, const HeldOut& data,
                    StagedBatch& batch, const Group& group, const Device& device) {
  const auto numbers = static_cast<std::int64_t>(1 + measures);
  const Tensor on_host({numbers}, DType::f64, Device::staging(device));
  std::vector<std::vector<double>> sums(1 + measures);  // by number, of each micro-batch
  double targets = 0;
  for (std::int64_t i = 0; i < data.count; ++i) {
    const BatchShape& shape = data.shape_of(i);
    const Tensor got = loss_of(shape, [&] {
      batch.fill(shape, data.next);
      return batch.upload();
    });
    if (got.defined()) copy(got, on_host);
    synchronize(device);
    if (!data.next || !got.defined()) continue;
    for (std::size_t n = 0; n < sums.size(); ++n) sums[n].push_back(on_host.host<double>()[n]);
    targets += static_cast<double>(batch.num_targets());
  }
  Evaluation all{.loss = sum_over_ranks(group, sums[0], "eval/losses")};
  for (std::size_t n = 1; n < sums.size(); ++n)
    all.measures.push_back(sum_over_ranks(group, sums[n], "eval/measures"));
  all.targets = static_cast<std::int64_t>(sum_over_ranks(group, {targets}, "eval/targets"));
  return all;
}

}  // namespace fusor
