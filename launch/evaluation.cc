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
  const Owned owned(device, Owner::input);
  const Shape tokens{shape.samples * shape.seq_len};
  TokenBatch batch{Tensor(tokens, DType::i32, device), Tensor(tokens, DType::i32, device),
                   shape.samples, shape.seq_len};
  if (!next) return batch;
  const auto written = batch.targets.host<std::int32_t>();
  next(batch.tokens.host<std::int32_t>(), written);
  *targets += std::ssize(written) - std::count(written.begin(), written.end(), kIgnoredTarget);
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
