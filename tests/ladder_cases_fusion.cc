#include "ops/gated_sum.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

// Of three values, the middle one of which may be absent from the batch; any from any row.
Case gated_case(const char* name, const Shape& shape, bool all) {
  std::vector<Operand> operands{activation(shape), activation(shape), activation({shape[0], 3}),
                                ids({shape[0]}, 8)};
  if (all) operands.push_back(activation(shape));
  return {name, operands, [=](const Vars& v) {
            return gated_sum({v[0], all ? v[4] : Var(), v[1]}, v[2], v[3].value());
          }};
}

}  // namespace

std::vector<Case> fusion_cases() {
  return {
      gated_case("gated_sum", {7, 33}, /*all=*/true),
      gated_case("gated_sum_large", {150, 136}, true),
      gated_case("gated_sum_of_two", {9, 5}, false),
      {"plain_sum",
       {activation({9, 24}), activation({9, 24}), ids({9}, 4)},
       [](const Vars& v) {
         return gated_sum({v[0], v[1]}, {}, v[2].value());
       }},
  };
}

}  // namespace fusor::ladder
