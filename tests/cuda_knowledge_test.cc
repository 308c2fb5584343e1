// Ranks and updates of tables on a GPU against the CPU.
#include <gmock/gmock.h>

#include "ops/filtered_ranks.h"
#include "ops/sparse_update.h"
#include "tests/cuda_gpu.h"
#include "tests/near.h"

namespace fusor::ops {
namespace {

class CudaKnowledge : public OnCuda {
 protected:
  Tensor there(const Tensor& t) const {
    if (!t.defined()) return t;
    const Tensor to(t.shape(), t.dtype(), gpu_);
    copy(t, to);
    synchronize(gpu_);
    return to;
  }
  void SetUp() override {
    OnCuda::SetUp();
    if (!IsSkipped()) gpu_ = Device::cuda(0, /*poison=*/true);
  }
  Device gpu_;
};

std::vector<std::int64_t> counts_of(const Tensor& scores, const Tensor& answers,
                                    const Tensor& known, std::int64_t first) {
  const Tensor truth(answers.shape(), scores.dtype(), scores.device()),
      counts({scores.dim(0), 2}, DType::i64, scores.device());
  own_scores(scores, answers, first, truth);
  filtered_ranks(scores, truth, known, first, counts);
  const Tensor here = on_host(counts);
  const auto found = here.host<std::int64_t>();
  return {found.begin(), found.end()};
}

TEST_F(CudaKnowledge, RanksAreTheCpus) {
  const std::int64_t rows = 300, cols = 613, first = 40;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    const Tensor scores = cast(noise_ids({rows, cols}, 50, 1), dtype),
                 answers = noise_ids({rows}, first + cols, 2),
                 known = noise_ids({rows, 9}, first + cols, 3);
    EXPECT_EQ(counts_of(there(scores), there(answers), there(known), first),
              counts_of(scores, answers, known, first));
  }
}

TEST_F(CudaKnowledge, SumsOfRanksAreTheCpus) {
  const std::int64_t rows = 700;
  const Tensor counts({rows, 2}, DType::i64), answers = noise_ids({rows}, 3, 2),
                                              here({kRankSums}, DType::f64),
                                              sums({kRankSums}, DType::f64, gpu_);
  const std::vector<double> few = doubles(noise_ids({rows, 2}, 20, 1));
  std::ranges::copy(few, counts.host<std::int64_t>().begin());
  fill(answers, [a = doubles(answers)](std::size_t i) { return a[i] - 1; });
  rank_sums(counts, answers, here);
  rank_sums(there(counts), there(answers), sums);
  EXPECT_LT(distance(sums, here), 1e-13);
}

// Some ids in each part, none twice; every third place is empty.
Tensor ids_in_parts(std::int64_t parts, std::int64_t part, std::int64_t rows) {
  const Tensor ids({parts * part}, DType::i32);
  fill(ids, [=](std::size_t i) {
    const auto p = static_cast<std::int64_t>(i) / part, e = static_cast<std::int64_t>(i) % part;
    return e % 3 == 2 ? -1.0 : static_cast<double>((e * 7 + p * 3) % rows);
  });
  return ids;
}

TEST_F(CudaKnowledge, UpdatesAreTheCpus) {
  const std::int64_t rows = 101, parts = 4, part = 60;
  const Tensor rates({kAdamWRates}, DType::f64), scale({1}, DType::f64);
  fill(rates, [](std::size_t i) { return 0.1 + 0.2 * static_cast<double>(i); });
  fill(scale, [](std::size_t) { return 0.5; });
  for (const auto optimizer : {TableOptimizer::adagrad, TableOptimizer::adam})
    for (const std::int64_t cols : {6, 64}) {
      const Shape shape{rows, cols};
      const auto positive = [&] {
        const Tensor t = noise(shape, DType::f32, 3);
        fill(t, [v = doubles(t)](std::size_t i) { return v[i] * v[i]; });
        return t;
      };
      const TableRows here{
          noise(shape, DType::f32, 1),
          optimizer == TableOptimizer::adam ? noise(shape, DType::f32, 2) : Tensor(), positive(),
          optimizer};
      const TableRows table{there(here.weights), there(here.m), there(here.v), optimizer};
      const RowGradients gradients{ids_in_parts(parts, part, rows),
                                   noise({parts * part, cols}, DType::f32, 4),
                                   part,
                                   {2, 0, 3, 1}};
      const RowGradients on_gpu{there(gradients.ids), there(gradients.rows), part, gradients.order};
      const Tensor firsts({rows}, DType::i32), firsts_there({rows}, DType::i32, gpu_);
      sparse_update(here, gradients, {}, rates, scale, firsts);
      sparse_update(table, on_gpu, {}, there(rates), there(scale), firsts_there);
      EXPECT_LT(distance(table.weights, here.weights), 1e-6);
      EXPECT_LT(distance(table.v, here.v), 1e-6);
    }
}

}  // namespace
}  // namespace fusor::ops
