#include "launch/evaluation.h"

#include <algorithm>

#include "ops/exact_sum.h"
#include "runtime/copy.h"

namespace fusor {

BatchSource batches_of(Loader& loader) {
  return [&loader](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
    unpack(loader.next(), tokens, targets);
  };
}

StagedBatch::StagedBatch(const MicroShape& shape, std::int64_t vocab, const Device& device)
    : shape_(shape), vocab_(vocab), device_(device) {
  const Device host = Device::staging(device);
  const Shape rows{shape.samples * shape.rows.local_len};
  tokens_ = Tensor(rows, DType::i32, host);
  targets_ = Tensor(rows, DType::i32, host);
}

void StagedBatch::fill(const BatchSource& next) {
  const RowMap& map = shape_.rows;
  std::vector<std::int32_t> all_tokens(static_cast<std::size_t>(shape_.samples * map.seq_len));
  std::vector<std::int32_t> all_targets(all_tokens.size());
  next(all_tokens, all_targets);
  const auto require_known = [&](std::int32_t token) {
    require(0 <= token && token < vocab_, "the data hold token ", token,
            ", which a model of model.vocab_size ", vocab_, " does not know");
  };
  const auto tokens = tokens_.host<std::int32_t>(), targets = targets_.host<std::int32_t>();
  num_targets_ = 0;
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    const auto from = static_cast<std::size_t>(map.global_row(static_cast<std::int64_t>(r)));
    require_known(tokens[r] = all_tokens[from]);
    targets[r] = all_targets[from];
    if (targets[r] == kIgnoredTarget) continue;
    require_known(targets[r]);
    ++num_targets_;
  }
}

TokenBatch StagedBatch::upload() const {
  const Owned owned(device_, Owner::input);
  TokenBatch batch{Tensor(tokens_.shape(), DType::i32, device_),
                   Tensor(targets_.shape(), DType::i32, device_), shape_.samples,
                   shape_.rows.seq_len};
  copy(tokens_, batch.tokens);
  copy(targets_, batch.targets);
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
                    StagedBatch& batch, const Group& group, const Device& device) {
  const Tensor on_host({1}, DType::f64, Device::staging(device));
  std::vector<double> losses;
  double targets = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor loss = loss_of([&] {
      if (next) batch.fill(next);
      return batch.upload();
    });
    if (loss.defined()) copy(loss, on_host);
    synchronize(device);
    if (!next || !loss.defined()) continue;
    losses.push_back(on_host.host<double>()[0]);
    targets += static_cast<double>(batch.num_targets());
  }
  return {.loss = sum_over_ranks(group, losses, "eval/losses"),
          .targets = static_cast<std::int64_t>(sum_over_ranks(group, {targets}, "eval/targets"))};
}

}  // namespace fusor
