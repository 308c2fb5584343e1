#include "ops/mean_pool.h"
#include "ops/pick_rows.h"
#include "ops/tanh.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

Case mean_pool_case(const char* name, Shape x, std::int64_t batch,
                    const std::vector<std::int32_t>& lengths = {}) {
  return {name, {activation(x)}, [=](const Vars& v) {
            return mean_pool(v[0], batch, lengths_on(v[0].device(), lengths));
          }};
}

}  // namespace

std::vector<Case> text_cases() {
  return {
      {"tanh", {activation({3, 37})}, [](const Vars& v) { return tanh(v[0]); }},
      {"tanh_large", {activation({50, 400})}, [](const Vars& v) { return tanh(v[0]); }},
      {"pick_rows",  // some rows twice
       {activation({10, 33}), ids({2, 4}, 5)},
       [](const Vars& v) { return pick_rows(v[0], v[1].value()); }},
      {"pick_rows_large",
       {activation({240, 136}), ids({3, 20}, 80)},
       [](const Vars& v) { return pick_rows(v[0], v[1].value()); }},
      {"first_rows", {activation({12, 7})}, [](const Vars& v) { return first_rows(v[0], 3); }},
      mean_pool_case("mean_pool", {10, 33}, 2),
      mean_pool_case("mean_pool_lengths", {15, 7}, 3, {3, 0, 5}),
      mean_pool_case("mean_pool_large", {240, 136}, 3, {80, 1, 33}),
  };
}

}  // namespace fusor::ladder
