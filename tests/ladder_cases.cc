#include "tests/ladder_cases.h"

#include "ops/add.h"
#include "ops/add_norm.h"
#include "ops/cross_entropy.h"
#include "ops/drop_path.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/expert_dispatch.h"
#include "ops/expert_linear.h"
#include "ops/fill.h"
#include "ops/gelu.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rotary.h"
#include "ops/router_logits.h"
#include "ops/swap_blocks.h"
#include "ops/swiglu.h"
#include "ops/top_k_router.h"
#include "tests/near.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

// The choices [rows, k] of one micro-batch, given slots.
Routing routed(const Tensor& choices, std::int64_t experts, std::int64_t capacity) {
  const RowMap rows = RowMap::whole(0, choices.dim(0));
  return route_tokens(global_choices(choices, rows), choices.dim(0), rows, experts, capacity);
}

// Experts are drawn, not chosen by logits, so that values have derivatives everywhere.
Case router_case(const char* name, Shape x, std::int64_t experts, std::int64_t k) {
  return {name,
          {activation(x), parameter({experts, x[1]}), ids({x[0], k}, experts)},
          [](const Vars& v) { return router_weights(router_logits(v[0], v[1]), v[2].value()); }};
}

Case dispatch_case(const char* name, Shape x, std::int64_t experts, std::int64_t capacity) {
  return {name, {activation(x), ids({x[0]}, experts)}, [=](const Vars& v) {
            return expert_dispatch(v[0], routed(v[1].value().view({x[0], 1}), experts, capacity));
          }};
}

// The weights come from x and a router; the buffer [experts * capacity, cols] returns to its rows.
Case combine_case(const char* name, Shape x, std::int64_t experts, std::int64_t capacity,
                  std::int64_t cols) {
  return {name,
          {activation({experts * capacity, cols}), activation(x), parameter({experts, x[1]}),
           ids({x[0], 2}, experts)},
          [=](const Vars& v) {
            const Tensor& choices = v[3].value();
            const Var weights = router_weights(router_logits(v[1], v[2]), choices);
            return expert_combine(v[0], weights, routed(choices, experts, capacity));
          }};
}

StepKey key_of(const Vars& v) { return {{5}, step_number(2, v[0].device())}; }

Case rotary_case(const char* name, const AttentionShape& s, const RowMap& map) {
  return {name,
          {activation({s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim})},
          [=](const Vars& v) { return rotary(v[0], s, 10000, map); }};
}

// What a rank knows of each row of logits, and what another might.
Tensor with_another_shard(const Tensor& known) {
  Tensor all({2, 2, known.dim(1)}, known.dtype(), known.device());
  ops::fill(all, 0.5);
  ops::add_into(all.rows(1, 2), known.view({1, 2, known.dim(1)}), false);
  return all;
}

// Of a sum and its norm, with a gradient from each.
Var both(const AddNorm& of) { return add(of.sum, of.y); }

std::vector<Case> common_cases() {
  return {
      {"add",
       {activation({3, 7}), activation({3, 7})},
       [](const Vars& v) { return add(v[0], v[1]); }},
      {"add_large",
       {activation({150, 257}), activation({150, 257})},
       [](const Vars& v) { return add(v[0], v[1]); }},
      rotary_case("rotary", {2, 5, 2, 2, 6}, RowMap::whole(0, 5)),
      rotary_case("rotary_later_positions", {3, 11, 4, 1, 8}, RowMap::positions(100, 11)),
      rotary_case("rotary_zigzag", {2, 10, 2, 1, 6}, RowMap::zigzag(0, 20, 0, 2)),
      rotary_case("rotary_slice", {1, 13, 2, 1, 6}, RowMap::zigzag(0, 20, 0, 2).rows_from(7)),
      {"linear",
       {activation({6, 10}), parameter({7, 10}), parameter({7})},
       [](const Vars& v) { return linear(v[0], v[1], v[2]); }},
      {"linear_without_bias",
       {activation({5, 9}), parameter({3, 9})},
       [](const Vars& v) { return linear(v[0], v[1]); }},
      {"linear_many_rows",
       {activation({1030, 12}), parameter({20, 12}), parameter({20})},
       [](const Vars& v) { return linear(v[0], v[1], v[2]); }},
      {"linear_gelu",
       {activation({6, 10}), parameter({7, 10}), parameter({7}), parameter({9, 7}), parameter({9})},
       [](const Vars& v) { return linear(linear_gelu(v[0], v[1], v[2]), v[3], v[4]); }},
      {"linear_gelu_aligned",  // as the epilogues of 16-bit products need it
       {activation({6, 16}), parameter({24, 16}), parameter({8, 24})},
       [](const Vars& v) { return linear(linear_gelu(v[0], v[1]), v[2]); }},
      {"linear_gelu_read_twice",
       {activation({6, 16}), parameter({24, 16}), parameter({24}), parameter({8, 24})},
       [](const Vars& v) {
         const Activated h = linear_gelu(v[0], v[1], v[2]);
         return add(linear(h, v[3]), linear(h, v[3]));
       }},
      {"rms_norm",
       {activation({5, 33}), parameter({33})},
       [](const Vars& v) { return rms_norm(v[0], v[1], 1e-5); }},
      {"rms_norm_large",
       {activation({150, 256}), parameter({256})},
       [](const Vars& v) { return rms_norm(v[0], v[1], 1e-5); }},
      {"rms_norm_wide",
       {activation({3, 4111}), parameter({4111})},
       [](const Vars& v) { return rms_norm(v[0], v[1], 1e-5); }},
      {"layer_norm",
       {activation({5, 33}), parameter({33}), parameter({33})},
       [](const Vars& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }},
      {"layer_norm_large",
       {activation({150, 256}), parameter({256}), parameter({256})},
       [](const Vars& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }},
      {"layer_norm_wide",
       {activation({9, 2100}), parameter({2100}), parameter({2100})},
       [](const Vars& v) { return layer_norm(v[0], v[1], v[2], 1e-5); }},
      {"embedding",
       {parameter({7, 5}), ids({11}, 7)},
       [](const Vars& v) { return embedding(v[0], v[1]); }},
      {"embedding_large",
       {parameter({50, 200}), ids({150}, 50)},
       [](const Vars& v) { return embedding(v[0], v[1]); }},
      {"embedding_shard",
       {parameter({7, 5}), ids({11}, 12)},
       [](const Vars& v) { return embedding(v[0], v[1], {.first = 3, .whole = 12}); }},
      {"add_positions",
       {activation({6, 5}), parameter({8, 5})},
       [](const Vars& v) { return add_positions(v[0], v[1], RowMap::positions(2, 3)); }},
      {"add_positions_large",
       {activation({240, 200}), parameter({120, 200})},
       [](const Vars& v) { return add_positions(v[0], v[1], RowMap::whole(3, 120)); }},
      {"add_positions_slice",
       {activation({23, 5}), parameter({20, 5})},
       [](const Vars& v) {
         return add_positions(v[0], v[1], RowMap::zigzag(1, 20, 0, 2).rows_from(14));
       }},
      router_case("router_one_of_three", {5, 33}, 3, 1),
      router_case("router_two_of_five", {6, 33}, 5, 2),
      router_case("router_large", {300, 130}, 16, 3),
      dispatch_case("expert_dispatch", {7, 5}, 3, 2),
      dispatch_case("expert_dispatch_large", {150, 257}, 4, 30),
      combine_case("expert_combine", {7, 5}, 4, 3, 9),
      combine_case("expert_combine_large", {150, 9}, 6, 40, 257),
      {"expert_linear",
       {activation({6, 10}), parameter({9, 10})},
       [](const Vars& v) { return expert_linear(v[0], v[1], 3); }},
      {"expert_linear_large",
       {activation({240, 40}), parameter({192, 40})},
       [](const Vars& v) { return expert_linear(v[0], v[1], 2); }},
      {"swap_blocks", {activation({12, 5})}, [](const Vars& v) { return swap_blocks(v[0], 3, 2); }},
      {"swap_blocks_large",
       {activation({240, 130})},
       [](const Vars& v) { return swap_blocks(v[0], 4, 6); }},
      {"gelu", {activation({3, 37})}, [](const Vars& v) { return gelu(v[0]); }},
      {"gelu_large", {activation({50, 400})}, [](const Vars& v) { return gelu(v[0]); }},
      {"gelu_erf", {activation({3, 37})}, [](const Vars& v) { return gelu(v[0], GeluForm::erf); }},
      {"gelu_erf_large",
       {activation({50, 400})},
       [](const Vars& v) { return gelu(v[0], GeluForm::erf); }},
      {"swiglu", {activation({3, 38})}, [](const Vars& v) { return swiglu(v[0]); }},
      {"swiglu_large", {activation({120, 400})}, [](const Vars& v) { return swiglu(v[0]); }},
      {"dropout",
       {activation({3, 37})},
       [](const Vars& v) { return dropout(v[0], 0.3, key_of(v), RowMap::whole(2, 3)); }},
      {"dropout_large",
       {activation({50, 401})},
       [](const Vars& v) { return dropout(v[0], 0.3, key_of(v), RowMap::whole(3, 25)); }},
      {"dropout_slice",
       {activation({50, 401})},
       [](const Vars& v) {
         return dropout(v[0], 0.3, key_of(v), RowMap::zigzag(2, 48, 1, 3).rows_from(5));
       }},
      {"dropout_add",
       {activation({3, 37}), activation({3, 37})},
       [](const Vars& v) { return dropout_add(v[0], v[1], 0.3, key_of(v), RowMap::whole(2, 3)); }},
      {"drop_path_add",
       {activation({21, 37}), activation({21, 37})},
       [](const Vars& v) {
         return drop_path_add(v[0], v[1], 0.4, key_of(v), RowMap::whole(5, 3));
       }},
      {"drop_path_add_large",
       {activation({50, 400}), activation({50, 400})},
       [](const Vars& v) {
         return drop_path_add(v[0], v[1], 0.4, key_of(v), RowMap::whole(2, 7).rows_from(4));
       }},
      {"add_layer_norm",
       {activation({5, 33}), activation({5, 33}), parameter({33}), parameter({33})},
       [](const Vars& v) {
         return both(
             add_layer_norm(v[0], v[1], 0.3, key_of(v), RowMap::whole(2, 5), v[2], v[3], 1e-5));
       }},
      {"add_layer_norm_without_dropout",
       {activation({150, 256}), activation({150, 256}), parameter({256}), parameter({256})},
       [](const Vars& v) {
         return both(add_layer_norm(v[0], v[1], 0, {}, RowMap::whole(0, 25), v[2], v[3], 1e-5));
       }},
      {"add_rms_norm",
       {activation({5, 33}), activation({5, 33}), parameter({33})},
       [](const Vars& v) {
         return both(add_rms_norm(v[0], v[1], 0, {}, RowMap::whole(0, 5), v[2], 1e-5));
       }},
      {"add_rms_norm_slice",
       {activation({150, 256}), activation({150, 256}), parameter({256})},
       [](const Vars& v) {
         const RowMap rows = RowMap::zigzag(2, 48, 1, 3).rows_from(5);
         return both(add_rms_norm(v[0], v[1], 0.3, key_of(v), rows, v[2], 1e-5));
       }},
      {"cross_entropy",
       {activation({5, 33}), activation({5, 33}), ids({5}, 33)},
       // of a sum: it consumes its logits, which the rungs read again
       [](const Vars& v) { return cross_entropy(add(v[0], v[1]), v[2].value()); }},
      {"cross_entropy_large",
       // with the target among the elements that are moved: other slopes are too small to be seen
       {activation({2, 1300}), activation({2, 1300}), ids({2}, 1)},
       [](const Vars& v) { return cross_entropy(add(v[0], v[1]), v[2].value()); }},
      {"cross_entropy_shard",
       {activation({5, 33}), activation({5, 33}), ids({5}, 66)},
       [](const Vars& v) {
         return cross_entropy(add(v[0], v[1]), v[2].value(), {.first = 20, .whole = 66},
                              with_another_shard);
       }},
  };
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list = common_cases();
    for (const auto& family :
         {attention_cases, fusion_cases, knowledge_cases, speech_cases, text_cases, vision_cases})
      for (Case& c : family()) list.push_back(std::move(c));
    return list;
  }();
  return all;
}

}  // namespace fusor::ladder
