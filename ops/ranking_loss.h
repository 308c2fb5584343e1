#pragma once
#include <string_view>

#include "ops/tape.h"

namespace fusor {

// What a true fact's score p and those of its k false ones n_j come to.
enum class Ranking : std::uint8_t {
  margin,    // mean_j max(0, margin - p + n_j)                       Bordes et al. 2013
  logistic,  // softplus(-p) + mean_j softplus(n_j) https://arxiv.org/abs/1606.06357
  // softplus(-margin - p) / 2 + sum_j w_j softplus(margin + n_j) / 2, w = softmax(temperature n),
  // which is held fixed: of distances, as in https://arxiv.org/abs/1902.10197.
  self_adversarial,
  softmax  // -log(e^p / (e^p + sum_j e^n_j))
};

struct RankingLoss {
  Ranking kind = Ranking::softmax;
  double margin = 0, temperature = 1;  // for the kinds that have them
};

// loss f64 [1] = the sum over facts of what RankingLoss says.
// positive [N]   negative [N, k] or, of the same elements, [N * k]
Var ranking_loss(const Var& positive, const Var& negative, const RankingLoss&);

}  // namespace fusor
