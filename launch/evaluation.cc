#include "launch/evaluation.h"

#include <algorithm>

#include "ops/exact_sum.h"

namespace fusor {

BatchSource batches_of(Loader& loader) {
  return [&loader](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
    unpack(loader.next(), tokens, targets);
  };
}

TokenBatch upload(const BatchSource& next, const MicroShape& shape, const Device& device,
                  std::int64_t* targets) {
  const RowMap& map = shape.rows;
  const Owned owned(device, Owner::input);
  const Shape rows{shape.samples * map.local_len};
  TokenBatch batch{Tensor(rows, DType::i32, device), Tensor(rows, DType::i32, device),
                   shape.samples, map.seq_len};
  if (!next) return batch;
  std::vector<std::int32_t> all_tokens(static_cast<std::size_t>(shape.samples * map.seq_len));
  std::vector<std::int32_t> all_targets(all_tokens.size());
  next(all_tokens, all_targets);
  const auto to_tokens = batch.tokens.host<std::int32_t>();
  const auto to_targets = batch.targets.host<std::int32_t>();
  for (std::size_t r = 0; r < to_tokens.size(); ++r) {
    const auto from = static_cast<std::size_t>(map.global_row(static_cast<std::int64_t>(r)));
    to_tokens[r] = all_tokens[from];
    to_targets[r] = all_targets[from];
    if (to_targets[r] != kIgnoredTarget) ++*targets;
  }
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

Evaluation evaluate(const LossOf& loss_of, std::int64_t count, const BatchSource& next,
                    const MicroShape& shape, const Group& group, const Device& device) {
  std::vector<double> losses;
  double targets = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int64_t of_batch = 0;
    const Tensor loss = loss_of([&] { return upload(next, shape, device, &of_batch); });
    if (!next || !loss.defined()) continue;
    losses.push_back(loss.host<double>()[0]);
    targets += static_cast<double>(of_batch);
  }
  return {.loss = sum_over_ranks(group, losses, "eval/losses"),
          .targets = static_cast<std::int64_t>(sum_over_ranks(group, {targets}, "eval/targets"))};
}

}  // namespace fusor
