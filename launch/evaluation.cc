#include "launch/evaluation.h"

#include <algorithm>

#include "parallel/reduction_tree.h"

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

Evaluation evaluate(const Model& model, std::int64_t count, const BatchSource& next,
                    const MicroShape& shape, const Group& group, const Device& device) {
  std::vector<double> mine(static_cast<std::size_t>(count), 0);
  std::int64_t targets = 0;
  for (double& sum : mine) {
    const Program program(device, "eval");
    const Var loss = model.loss(upload(next, shape, device, &targets), {});
    if (next) sum = loss.value().host<double>()[0];
  }
  mine.push_back(static_cast<double>(targets));
  const auto ranks = gather_numbers(group, mine, "eval/losses");
  Evaluation result;
  std::vector<double> losses;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
    for (const auto& rank : ranks) losses.push_back(rank[i]);
  for (const auto& rank : ranks) result.targets += static_cast<std::int64_t>(rank.back());
  result.loss = losses.empty() ? 0 : tree_sum(std::move(losses));
  return result;
}

}  // namespace fusor
