#pragma once
#include <cstdint>

#include "ops/ranking_loss.h"
#include "runtime/launch.h"

// Defined in ranking_loss_cpu.cc and ranking_loss_cuda.cu. positive [n], negative [n, k].
namespace fusor::ops::kernels {

struct RankingSize {
  std::int64_t n, k;
  RankingLoss loss;
};

// known f64 [2, n]: each row's loss, and what backward reads again: the log-sum-exp of its (scaled)
// negatives, with the positive for softmax.
template <class T>
void ranking_loss(Cpu, const RankingSize&, const T* positive, const T* negative, double* known,
                  double* loss);
template <class T>
void ranking_loss(Cuda, const RankingSize&, const T* positive, const T* negative, double* known,
                  double* loss);

// dpositive, dnegative = dloss times the slopes
template <class T>
void ranking_loss_backward(Cpu, const RankingSize&, const double* dloss, const double* known,
                           const T* positive, const T* negative, T* dpositive, T* dnegative);
template <class T>
void ranking_loss_backward(Cuda, const RankingSize&, const double* dloss, const double* known,
                           const T* positive, const T* negative, T* dpositive, T* dnegative);

}  // namespace fusor::ops::kernels
