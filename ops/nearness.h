#pragma once
#include "ops/tape.h"

namespace fusor {

// How near two rows are; the nearer, the larger.
enum class Nearness : std::uint8_t {
  dot,     // sum_c q c
  l1,      // -sum_c |q - c|
  l2,      // -sqrt(sum_c (q - c)^2)
  moduli,  // -sum_c |q - c| over complex numbers: all real parts of a row, then all imaginary ones
};

// y[g n + i, j] = nearness(q[g n + i,:], c[g k + j,:]): each of a group's queries to each of its
// candidates. Where two rows meet, distances have the gradient 0.
// q [groups n, C]   c [groups k, C]   y [groups n, k]
Var candidate_scores(const Var& q, const Var& c, std::int64_t groups, Nearness);

// y[i] = nearness(q[i,:], c[i,:])   q, c [N, C]   y [N]
Var pair_scores(const Var& q, const Var& c, Nearness);

}  // namespace fusor
