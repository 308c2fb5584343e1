#include "ops/add.h"
#include "ops/cubed_moduli.h"
#include "ops/fill.h"
#include "ops/join_columns.h"
#include "ops/nearness.h"
#include "ops/ranking_loss.h"
#include "ops/relate.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;

Case relate_case(const char* name, Relating kind, Shape entities) {
  return {name,
          {activation(entities), activation({entities[0], relation_width(kind, entities[1])}),
           ids({entities[0]}, 2)},
          [kind](const Vars& v) { return relate(v[0], v[1], v[2].value(), kind); }};
}

// x with every element moved by 3, so that differences with another operand have one sign and the
// derivative of their size exists everywhere.
Var moved(const Var& x) {
  const Tensor by = empty_like(x.value());
  ops::fill(by, 3);
  return add(x, Var::input(by));
}

Case candidates_case(const char* name, Nearness kind, std::int64_t groups, std::int64_t queries,
                     std::int64_t candidates, std::int64_t cols) {
  return {name,
          {activation({groups * queries, cols}), activation({groups * candidates, cols})},
          [=](const Vars& v) { return candidate_scores(v[0], v[1], groups, kind); }};
}

Case moved_candidates_case(const char* name, Nearness kind) {
  return {name, {activation({68, 40}), activation({66, 40})}, [=](const Vars& v) {
            return candidate_scores(moved(v[0]), v[1], 2, kind);
          }};
}

Case pairs_case(const char* name, Nearness kind, Shape rows) {
  return {name, {activation(rows), activation(rows)}, [kind](const Vars& v) {
            return pair_scores(v[0], v[1], kind);
          }};
}

Case ranking_case(const char* name, Ranking kind, Shape negatives, double margin = 0.75) {
  return {name, {activation({negatives[0]}), activation(negatives)}, [=](const Vars& v) {
            return ranking_loss(v[0], v[1], {.kind = kind, .margin = margin});
          }};
}

Case cubed_case(const char* name, Shape x, bool complex) {
  return {name, {activation(x)}, [=](const Vars& v) { return cubed_moduli(v[0], 0.3, complex); }};
}

}  // namespace

std::vector<Case> knowledge_cases() {
  return {
      relate_case("relate_translate", Relating::translate, {5, 7}),
      relate_case("relate_translate_large", Relating::translate, {120, 400}),
      relate_case("relate_scale", Relating::scale, {5, 7}),
      relate_case("relate_scale_large", Relating::scale, {120, 400}),
      relate_case("relate_complex", Relating::complex, {5, 14}),
      relate_case("relate_complex_large", Relating::complex, {120, 400}),
      relate_case("relate_rotate", Relating::rotate, {5, 14}),
      relate_case("relate_rotate_large", Relating::rotate, {120, 400}),
      // groups, queries, candidates, columns
      candidates_case("candidates_dot", Nearness::dot, 2, 3, 5, 7),
      candidates_case("candidates_dot_large", Nearness::dot, 3, 32, 80, 64),
      candidates_case("candidates_l1", Nearness::l1, 2, 3, 4, 7),
      moved_candidates_case("candidates_l1_large", Nearness::l1),
      candidates_case("candidates_l2", Nearness::l2, 2, 3, 5, 7),
      candidates_case("candidates_l2_large", Nearness::l2, 2, 70, 40, 96),
      candidates_case("candidates_moduli", Nearness::moduli, 2, 3, 5, 14),
      moved_candidates_case("candidates_moduli_large", Nearness::moduli),
      pairs_case("pairs_dot", Nearness::dot, {5, 7}),
      pairs_case("pairs_dot_large", Nearness::dot, {150, 200}),
      pairs_case("pairs_l1", Nearness::l1, {5, 7}),
      pairs_case("pairs_l2", Nearness::l2, {5, 7}),
      pairs_case("pairs_l2_large", Nearness::l2, {150, 200}),
      pairs_case("pairs_moduli", Nearness::moduli, {5, 14}),
      ranking_case("ranking_margin", Ranking::margin, {5, 7}),
      ranking_case("ranking_margin_large", Ranking::margin, {8, 160}, /*margin=*/3),
      ranking_case("ranking_logistic", Ranking::logistic, {5, 7}),
      ranking_case("ranking_softmax", Ranking::softmax, {5, 7}),
      ranking_case("ranking_softmax_large", Ranking::softmax, {8, 160}),
      {"join_columns",
       {activation({5, 7}), activation({5, 4})},
       [](const Vars& v) { return join_columns(v[0], v[1]); }},
      {"take_columns",
       {activation({150, 200})},
       [](const Vars& v) { return take_columns(v[0], 30, 101); }},
      cubed_case("cubed_moduli", {5, 14}, true),
      cubed_case("cubed_moduli_large", {150, 200}, true),
      cubed_case("cubed_moduli_real", {5, 7}, false),
  };
}

}  // namespace fusor::ladder
