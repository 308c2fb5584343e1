// Element-wise operators and sums on the CUDA device against the CPU, beyond the shapes of the
// ladder: all pairs of dtypes, addresses that no vector fits, sizes beyond one round of a grid.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/add.h"
#include "ops/columns.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/fill.h"
#include "ops/rotary.h"
#include "ops/sum_rows.h"
#include "ops/swap_blocks.h"
#include "ops/swiglu.h"
#include "tests/another_order.h"
#include "tests/cuda_gpu.h"
#include "tests/near.h"

namespace fusor {
namespace {

constexpr DType kFloats[] = {DType::f64, DType::f32, DType::bf16, DType::f16};

// Weights are the same bits where the CPU fuses multiplications with additions, as GPUs do.
#ifdef __FMA__
constexpr double kNormals = 0;
#else
constexpr double kNormals = 1e-6;
#endif

Tensor on_device(const Tensor& from, const Device& device) {
  Tensor to(from.shape(), from.dtype(), device);
  copy(from, to);
  synchronize(device);
  return to;
}

// Small integers, whose sums are exact in any order.
Tensor integers(const Shape& shape, DType dtype, std::uint64_t seed) {
  Tensor t(shape, dtype);
  const RandomKey key = random_key(seed, "integers");
  fill(t, [&](std::size_t i) { return std::floor(9 * uniform(key, i)) - 4; });
  return t;
}

class CudaElementwise : public OnCuda {
 protected:
  void SetUp() override {
    OnCuda::SetUp();
    if (!IsSkipped()) gpu = Device::cuda(0, /*poison=*/true);
  }
  // How far f's result on the GPU, of copies of x, is from that on the CPU. The order in which
  // threads run changes no bit of it.
  template <class F>
  double difference(const std::vector<Tensor>& x, F f) const {
    const Tensor got = on_gpu(x, f);
    const AnotherOrder order;
    EXPECT_EQ(doubles(on_gpu(x, f)), doubles(got));
    return distance(got, f(x));
  }
  template <class F>
  Tensor on_gpu(const std::vector<Tensor>& x, F f) const {
    std::vector<Tensor> copies;
    for (const Tensor& t : x) copies.push_back(on_device(t, gpu));
    return on_host(f(copies));
  }
  Device gpu;
};

using Tensors = std::vector<Tensor>;

// `count` elements of t from `offset` on: an address that need not suit vectors.
Tensor part(const Tensor& t, std::int64_t offset, std::int64_t count) {
  return t.slice(offset, {count});
}

TEST_F(CudaElementwise, FillsAndConvertsAllDtypesAtAnyAddress) {
  for (const DType from : kFloats)
    for (const DType to : kFloats)
      for (const std::int64_t offset : {0, 1, 4})
        for (const std::int64_t n : {0, 1, 7, 1003}) {
          const auto converted = [&](const Tensors& x) {
            const Tensor y({n + 9}, to, x[0].device());
            ops::fill(y, -1.5);
            ops::convert(part(x[0], offset, n), part(y, offset, n));
            return y;
          };
          EXPECT_EQ(difference({noise({n + 9}, from, 1)}, converted), 0)
              << from << " to " << to << ", " << n << " from " << offset;
        }
}

TEST_F(CudaElementwise, AddsIntoOwnAndWiderDtypes) {
  for (const DType from : kFloats)
    for (const DType to : {from, acc_dtype(from)})
      for (const std::int64_t offset : {0, 3})
        for (const bool add : {false, true}) {
          const auto added = [&](const Tensors& x) {
            ops::add_into(part(x[1], offset, 501), part(x[0], offset, 501), add);
            return x[1];
          };
          // Fresh operands each time: the second is written.
          const Tensor x = noise({510}, from, 1), y = noise({510}, to, 2);
          const Tensor want = added({x, cast(y, to)});
          EXPECT_EQ(distance(added({on_device(x, gpu), on_device(y, gpu)}), want), 0)
              << from << " to " << to << " from " << offset;
        }
}

// More than 2048 blocks of 256 threads do in one round, by vectors and by elements.
TEST_F(CudaElementwise, GoesRoundAsOftenAsNeeded) {
  const std::int64_t n = 2048 * 256 * 4 + 37;
  const Tensor x = noise({n + 1}, DType::f32, 1);
  const auto sum = [](const Tensor& t) { return add(Var::input(t), Var::input(t)).value(); };
  EXPECT_EQ(difference({x}, [&](const Tensors& t) { return sum(t[0]); }), 0);
  const std::int64_t few = 2048 * 256 + 37;
  EXPECT_EQ(difference({x}, [&](const Tensors& t) { return sum(part(t[0], 1, few)); }), 0);
  const auto gated = [&](const Tensors& t) {
    return swiglu(Var::input(t[0].slice(0, {180'000, 6}))).value();
  };
  EXPECT_LT(difference({x}, gated), 1e-6);
}

TEST_F(CudaElementwise, NormalsAreThoseOfTheCpu) {
  const RandomKey key = random_key(7, "init/w");
  for (const DType dtype : kFloats)
    for (const ops::BoxRange& range :
         {ops::BoxRange{}, ops::BoxRange{.first = (std::int64_t{1} << 34) + 3, .begin = 2},
          ops::BoxRange{.first = 2150, .begin = 137, .row = 101, .stride = 700}})
      for (const std::int64_t offset : {0, 1}) {
        const auto drawn = [&](const Tensors& x) {
          const Tensor t = part(x[0], offset, 5001);
          ops::fill_normal(t, 0.02, key, range);
          return t;
        };
        const Tensor blank({5002}, dtype);
        ops::fill(blank, 0);
        EXPECT_LE(difference({blank}, drawn), kNormals) << dtype << " from " << range.first;
      }
}

TEST_F(CudaElementwise, CopiesColumnsOfAnyWidth) {
  const std::pair<DType, DType> kinds[] = {{DType::f64, DType::f64},   {DType::f32, DType::f32},
                                           {DType::bf16, DType::bf16}, {DType::f32, DType::bf16},
                                           {DType::f16, DType::f16},   {DType::f32, DType::f16}};
  struct Place {
    std::int64_t from_cols, from_first, to_cols, to_first, count;
  };
  for (const auto& [from, to] : kinds)
    for (const Place& p : {Place{48, 16, 24, 8, 16},
                           {48, 16, 25, 8, 16},
                           {48, 3, 24, 8, 16},
                           {47, 16, 24, 8, 16},
                           {48, 16, 24, 8, 15},
                           {48, 16, 24, 8, 0}})
      for (const bool add : {false, true}) {
        const auto copied = [&](const Tensors& x) {
          const Tensor y({33, p.to_cols}, to, x[0].device());
          ops::fill(y, 0.25);
          ops::copy_columns({x[0], p.from_first, p.count}, {y, p.to_first, p.count}, add);
          return y;
        };
        EXPECT_EQ(difference({noise({33, p.from_cols}, from, 1)}, copied), 0)
            << from << " to " << to << ", " << p.count << " of " << p.from_cols << " from "
            << p.from_first;
      }
}

TEST_F(CudaElementwise, SwapsBlocksOfAnySize) {
  for (const DType dtype : kFloats)
    for (const std::int64_t cols : {1, 8, 24}) {
      const auto swapped = [&](const Tensors& x) {
        return swap_blocks(Var::input(x[0]), 3, 5).value();
      };
      EXPECT_EQ(difference({noise({30, cols}, dtype, 1)}, swapped), 0) << dtype << " " << cols;
    }
}

TEST_F(CudaElementwise, DropsTheElementsThatTheCpuDrops) {
  const RowMap map = RowMap::zigzag(5, 32, 1, 4).rows_from(3);
  for (const DType dtype : kFloats)
    for (const std::int64_t cols : {7, 10, 64})
      for (const bool residual : {false, true}) {
        const auto dropped = [&](const Tensors& x) {
          const KeyStem stem = key_stem(1, "dropout");
          const StepKey key{stem, x[1]}, before{stem, x[2]};
          const Var in = Var::input(x[0]);
          dropout(in, 0.3, before, map);  // leaves nothing behind
          const Var y = residual ? dropout_add(in, in, 0.3, key, map) : dropout(in, 0.3, key, map);
          return y.value();
        };
        EXPECT_EQ(
            difference({noise({21, cols}, dtype, 1), step_number(3), step_number(2)}, dropped), 0)
            << dtype << " " << cols;
      }
}

TEST_F(CudaElementwise, SumsRowsOfAnyNumberAndWidth) {
  for (const DType dtype : kFloats)
    for (const std::int64_t rows : {0, 1, 31, 256, 257, 3000, 70000})
      for (const std::int64_t cols : {1, 24, 77}) {
        if (rows * cols > 1'000'000) continue;
        const auto sum = [&](const Tensors& x) {
          const Tensor to({cols}, acc_dtype(dtype), x[0].device());
          ops::fill(to, 3);
          ops::sum_rows(to, x[0], true);
          return to;
        };
        EXPECT_EQ(difference({integers({rows, cols}, dtype, 1)}, sum), 0)
            << dtype << " " << rows << " x " << cols;
      }
}

TEST_F(CudaElementwise, ASumOfRowsIsTheSameBitsAtAnyAddress) {
  const std::int64_t rows = 700, cols = 48;
  const Tensor x = noise({rows * cols}, DType::bf16, 1), odd({rows * cols + 1}, DType::bf16, gpu);
  const Tensor even = on_device(x, gpu).view({rows, cols});
  copy(x, part(odd, 1, rows * cols));
  const Tensor a({cols}, DType::f32, gpu), b({cols}, DType::f32, gpu);
  ops::sum_rows(a, even, false);
  ops::sum_rows(b, odd.slice(1, {rows, cols}), false);
  EXPECT_EQ(doubles(a), doubles(b));
}

// The gradient of a table [words, cols] of the words from `first` on.
Tensor table_gradient(const Tensor& ids, const Tensor& dy, std::int64_t words, std::int64_t first) {
  const Device& device = dy.device();
  Tape tape;
  const Tensor table({words, dy.dim(1)}, dy.dtype(), device);
  const Tensor grad({words, dy.dim(1)}, acc_dtype(dy.dtype()), device);
  const Var y = embedding(Var::parameter(table, grad), Var::input(ids, &tape), {first, 60'000});
  tape.backward(y, dy);
  return grad;
}

TEST_F(CudaElementwise, EmbeddingGradientsGatherAnyIds) {
  struct Row {
    std::int64_t n, bound, cols;
  };
  for (const DType dtype : kFloats)
    for (const Row& row :
         {Row{1, 1, 8}, {40, 1, 3}, {300, 7, 40}, {1100, 50'000, 8}, {1500, 1, 4}, {5000, 3, 9}}) {
      const auto gradient = [&](const Tensors& x) { return table_gradient(x[0], x[1], 600, 0); };
      const auto rest = [&](const Tensors& x) { return table_gradient(x[0], x[1], 4, 1); };
      const Tensors x{noise_ids({row.n}, row.bound, 1), integers({row.n, row.cols}, dtype, 2)};
      EXPECT_EQ(difference(x, gradient), 0) << dtype << ", " << row.n << " of " << row.bound;
      EXPECT_EQ(difference(x, rest), 0) << dtype << ", " << row.n << " of " << row.bound;
    }
}

TEST_F(CudaElementwise, EmbeddingGradientsAddInTheOrderOfTheTokens) {
  const auto gradient = [](const Tensors& x) { return table_gradient(x[0], x[1], 100, 0); };
  EXPECT_EQ(difference({noise_ids({600}, 100, 1), noise({600, 20}, DType::f32, 2)}, gradient), 0);
}

// More copies of a word than a warp takes: still a function of what belongs to the word alone.
TEST_F(CudaElementwise, AnEmbeddingGradientDependsOnItsOwnTokensAlone) {
  const std::int64_t n = 2000, cols = 24;
  const Tensor ids = noise_ids({n}, 2, 1), dy = noise({n, cols}, DType::f32, 2);
  const Tensor all = table_gradient(on_device(ids, gpu), on_device(dy, gpu), 2, 0);
  for (const std::int64_t word : {0, 1}) {
    const Tensor one = table_gradient(on_device(ids, gpu), on_device(dy, gpu), 1, word);
    EXPECT_EQ(doubles(one), doubles(all.rows(word, word + 1)));
  }
  EXPECT_LT(distance(all, table_gradient(ids, dy, 2, 0)), 1e-5);
}

TEST_F(CudaElementwise, PositionsGatherTheirSamples) {
  for (const DType dtype : kFloats)
    for (const std::int64_t cols : {7, 24})
      for (const std::int64_t first_row : {0, 5, 20}) {
        const RowMap map = RowMap::zigzag(0, 32, 1, 2).rows_from(first_row);
        const auto gradient = [&](const Tensors& x) {
          Tape tape;
          const Tensor table({32, cols}, dtype, x[0].device());
          const Tensor grad({32, cols}, acc_dtype(dtype), x[0].device());
          ops::fill(table, 0.5);
          const Var y = add_positions(Var::input(x[0], &tape), Var::parameter(table, grad), map);
          tape.backward(y, x[0]);
          return grad;
        };
        EXPECT_EQ(difference({integers({37, cols}, dtype, 1)}, gradient), 0)
            << dtype << " " << cols << " from row " << first_row;
      }
}

TEST_F(CudaElementwise, RotatesInPlaceAndOutOfPlace) {
  for (const std::int64_t head_dim : {2, 16, 20}) {
    const AttentionShape shape{
        .batch = 2, .seq_len = 40, .heads = 3, .kv_heads = 1, .head_dim = head_dim};
    const RowMap map = RowMap::positions(100'003, 40);
    const Tensor x = noise({80, 5 * head_dim}, DType::f32, 1);
    const auto apart = [&](const Tensors& t) {
      return rotary(Var::input(t[0]), shape, 10000, map).value();
    };
    const auto in_place = [&](const Tensors& t) {
      Tensor own(t[0].shape(), t[0].dtype(), t[0].device());
      copy(t[0], own);
      return rotary(Var::input(std::move(own)), shape, 10000, map).value();
    };
    EXPECT_LT(difference({x}, apart), 1e-6) << head_dim;
    EXPECT_LT(difference({x}, in_place), 1e-6) << head_dim;
  }
}

}  // namespace
}  // namespace fusor
