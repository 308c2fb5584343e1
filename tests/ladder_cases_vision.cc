#include "ops/add.h"
#include "ops/batch_norm.h"
#include "ops/conv2d.h"
#include "ops/fill.h"
#include "ops/pad_columns.h"
#include "ops/pool2d.h"
#include "ops/prepend_row.h"
#include "ops/relu.h"
#include "ops/reshape.h"
#include "ops/soft_cross_entropy.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

Case conv_case(const char* name, Shape x, Shape w, const Conv2dOptions& o = {}) {
  const Shape bias{w[0]};
  return {name,
          {activation(std::move(x)), parameter(std::move(w)), parameter(bias)},
          [o](const Vars& v) { return conv2d(v[0], v[1], v[2], o); },
          /*sums_by_threads=*/true};
}

// x, gain, bias and, where it has one, a residual.
Case batch_norm_case(const char* name, const Shape& x, bool relu, bool residual) {
  const Shape channels{x.back()};
  std::vector<Operand> operands{activation(x), parameter(channels), parameter(channels)};
  if (residual) operands.push_back(activation(x));
  return {name, std::move(operands), [=](const Vars& v) {
            return batch_norm(v[0], {v[1], v[2]}, {.relu = relu}, residual ? v[3] : Var());
          }};
}

Case max_pool_case(const char* name, const Shape& x, const Pool2dOptions& o) {
  return {name, {activation(x)}, [o](const Vars& v) { return max_pool2d(v[0], o); }};
}
Case mean_pool_case(const char* name, const Shape& x, const Pool2dOptions& o, bool outside) {
  return {name, {activation(x)}, [=](const Vars& v) { return mean_pool2d(v[0], o, outside); }};
}

Tensor constant(std::int64_t size, double value, const Tensor& like) {
  Tensor t({size}, like.dtype(), like.device());
  ops::fill(t, value);
  return t;
}

// What a rank knows, and another that has the same rows.
Tensor with_another_rank(const Tensor& known) {
  Tensor all({2, known.dim(0), known.dim(1)}, known.dtype(), known.device());
  for (std::int64_t rank = 0; rank < 2; ++rank)
    ops::add_into(all.rows(rank, rank + 1), known, false);
  return all;
}

}  // namespace

std::vector<Case> vision_cases() {
  return {
      {"relu", {activation({3, 37})}, [](const Vars& v) { return relu(v[0]); }},
      {"relu_large", {activation({150, 256})}, [](const Vars& v) { return relu(v[0]); }},
      conv_case("conv2d", {2, 5, 7, 3}, {5, 3, 3, 3}, Conv2dOptions::padded(1)),
      conv_case("conv2d_strided", {2, 9, 8, 6}, {10, 3, 2, 6}, Conv2dOptions::padded(1, 2)),
      conv_case("conv2d_pointwise", {3, 6, 5, 16}, {24, 1, 1, 16}),
      conv_case("conv2d_pointwise_strided", {2, 7, 8, 8}, {16, 1, 1, 8},
                Conv2dOptions::padded(0, 2)),
      conv_case("conv2d_dilated", {1, 11, 9, 4}, {7, 3, 3, 4},
                {.stride = {2, 1}, .before = {2, 1}, .after = {0, 3}, .dilation = {2, 3}}),
      conv_case("conv2d_grouped", {2, 6, 5, 12}, {8, 3, 3, 3},
                {.before = {1, 1}, .after = {1, 1}, .groups = 4}),
      conv_case("conv2d_depthwise", {2, 7, 6, 20}, {20, 3, 3, 1},
                {.stride = {2, 2}, .before = {1, 1}, .after = {1, 1}, .groups = 20}),
      conv_case("conv2d_one_dimension", {2, 1, 33, 5}, {6, 1, 4, 5},
                {.stride = {1, 2}, .before = {0, 3}}),
      conv_case("conv2d_relu", {2, 5, 6, 4}, {9, 3, 3, 4},
                {.before = {1, 1}, .after = {1, 1}, .relu = true}),
      conv_case("conv2d_large", {2, 9, 8, 64}, {72, 3, 3, 64}, Conv2dOptions::padded(1)),
      {"conv2d_without_bias",
       {activation({2, 6, 5, 8}), parameter({16, 3, 3, 8})},
       [](const Vars& v) { return conv2d(v[0], v[1], {}, Conv2dOptions::padded(1)); },
       /*sums_by_threads=*/true},
      batch_norm_case("batch_norm", {2, 3, 4, 5}, false, false),
      batch_norm_case("batch_norm_relu", {3, 4, 3, 7}, true, false),
      batch_norm_case("batch_norm_add_relu", {2, 5, 3, 9}, true, true),
      batch_norm_case("batch_norm_add", {6, 11}, false, true),
      // without the ReLU's kinks, of which a difference would cross some
      batch_norm_case("batch_norm_large", {2, 41, 30, 16}, false, true),
      batch_norm_case("batch_norm_wide", {3, 3, 3, 264}, false, false),
      {"batch_norm_over_ranks",
       {activation({2, 7, 6}), parameter({6}), parameter({6})},
       [](const Vars& v) {
         return batch_norm(v[0], {v[1], v[2]}, {}, {}, with_another_rank);
       }},
      {"batch_norm_inference",
       {activation({2, 3, 5, 6}), parameter({6}), parameter({6})},
       [](const Vars& v) {
         const Var mean = Var::input(constant(6, 0.25, v[0].value())),
                   variance = Var::input(constant(6, 0.5, v[0].value()));
         return batch_norm_inference(v[0], {v[1], v[2], mean, variance}, {.relu = true});
       }},
      max_pool_case("max_pool2d", {2, 6, 4, 3}, {}),
      max_pool_case("max_pool2d_overlapping", {2, 9, 8, 5},
                    {.size = {3, 3}, .stride = {2, 2}, .before = {1, 1}, .after = {1, 1}}),
      max_pool_case("max_pool2d_uneven", {1, 9, 11, 16},
                    {.size = {4, 2}, .stride = {3, 1}, .before = {2, 0}, .after = {3, 1}}),
      mean_pool_case("mean_pool2d", {2, 6, 4, 3}, {}, true),
      mean_pool_case("mean_pool2d_overlapping", {2, 9, 8, 16},
                     {.size = {3, 3}, .stride = {2, 2}, .before = {1, 1}, .after = {1, 1}}, true),
      mean_pool_case("mean_pool2d_inside", {1, 9, 11, 5},
                     {.size = {4, 2}, .stride = {3, 1}, .before = {2, 0}, .after = {3, 1}}, false),
      {"prepend_row",
       {activation({6, 5}), parameter({1, 5})},
       [](const Vars& v) { return prepend_row(v[0], v[1], 3); }},
      {"prepend_row_large",
       {activation({150, 256}), parameter({1, 256})},
       [](const Vars& v) { return prepend_row(v[0], v[1], 50); }},
      {"pad_columns",
       {activation({2, 3, 5})},
       [](const Vars& v) { return pad_columns(v[0], 2, 9); }},
      {"reshape",
       {activation({6, 10}), activation({4, 15})},
       [](const Vars& v) {
         return add(reshape(v[0], {4, 15}), v[1]);
       }},
      {"soft_cross_entropy",
       {activation({5, 33}), ids({5}, 33)},
       [](const Vars& v) {
         return soft_cross_entropy(v[0], soft_targets({v[1].value()}, 33, 0.1));
       }},
      {"soft_cross_entropy_mixed",
       {activation({7, 130}), ids({7}, 130), ids({7}, 130)},
       [](const Vars& v) {
         const Tensor shares = constant(7, 0.25, Tensor({0}, DType::f32, v[0].device()));
         return soft_cross_entropy(v[0],
                                   soft_targets({v[1].value(), v[2].value(), shares}, 130, 0.1));
       }},
  };
}

}  // namespace fusor::ladder
