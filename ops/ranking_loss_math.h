#pragma once
#include <cmath>

#include "ops/ranking_loss.h"

// What ranking_loss() is made of, on any device. Numbers are doubles: scores are few beside the
// work that made them.
namespace fusor::ops {

// log(1 + e^x), and its slope
constexpr double softplus(double x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(x > 0 ? -x : x));
}
constexpr double logistic(double x) {
  const double e = std::exp(x > 0 ? -x : x);
  return (x > 0 ? 1 : e) / (1 + e);
}

// Of one row: p is its positive score, lse the log-sum-exp of its negatives, times temperature, and
// for softmax of the positive too.
struct RankingRow {
  RankingLoss loss;
  double k, p, lse = 0;

  constexpr bool reads_lse() const {
    return loss.kind == Ranking::self_adversarial || loss.kind == Ranking::softmax;
  }
  // What lse is the log-sum-exp of.
  constexpr double exponent(double n) const {
    return loss.kind == Ranking::self_adversarial ? loss.temperature * n : n;
  }
  // The loss is the sum of the positive's share and of the negatives'.
  constexpr double positive_share() const {
    switch (loss.kind) {
      case Ranking::margin:
        return 0;
      case Ranking::logistic:
        return softplus(-p);
      case Ranking::self_adversarial:
        return softplus(-loss.margin - p) / 2;
      case Ranking::softmax:
        return lse - p;
    }
    return 0;
  }
  constexpr double negative_share(double n) const {
    switch (loss.kind) {
      case Ranking::margin: {
        const double over = loss.margin - p + n;
        return over > 0 ? over / k : 0;
      }
      case Ranking::logistic:
        return softplus(n) / k;
      case Ranking::self_adversarial:
        return std::exp(exponent(n) - lse) * softplus(loss.margin + n) / 2;
      case Ranking::softmax:
        return 0;
    }
    return 0;
  }
  constexpr double negative_slope(double n) const {
    switch (loss.kind) {
      case Ranking::margin:
        return loss.margin - p + n > 0 ? 1 / k : 0;
      case Ranking::logistic:
        return logistic(n) / k;
      case Ranking::self_adversarial:
        return std::exp(exponent(n) - lse) * logistic(loss.margin + n) / 2;
      case Ranking::softmax:
        return std::exp(n - lse);
    }
    return 0;
  }
  // negatives: the sum of their slopes, which margin needs.
  constexpr double positive_slope(double negatives) const {
    switch (loss.kind) {
      case Ranking::margin:
        return -negatives;
      case Ranking::logistic:
        return -logistic(-p);
      case Ranking::self_adversarial:
        return -logistic(-loss.margin - p) / 2;
      case Ranking::softmax:
        return std::exp(p - lse) - 1;
    }
    return 0;
  }
};

}  // namespace fusor::ops
