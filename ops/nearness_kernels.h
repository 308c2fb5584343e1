#pragma once
#include <cstdint>

#include "ops/nearness.h"
#include "runtime/launch.h"

// Defined in nearness_cpu.cc and nearness_cuda.cu.
namespace fusor::ops::kernels {

// One group of candidate_scores: q [n, cols], c [k, cols], y [n, k].
struct NearnessSize {
  Nearness kind;
  std::int64_t n, k, cols;
};

// Of distances: dot is a matrix product.
template <class T>
void candidate_scores(Cpu, const NearnessSize&, const T* q, const T* c, T* y);
template <class T>
void candidate_scores(Cuda, const NearnessSize&, const T* q, const T* c, T* y);

// dx[i,:] = (add ? dx : 0) + sum_j dy(i,j) d nearness(x[i,:], z[j,:]) / d x[i,:], in order of j.
// dy(i,j) and y(i,j) lie at i * from_row + j * from_column, so that x may be the queries or, with
// the strides the other way round, the candidates.
struct NearnessStrides {
  std::int64_t from_row, from_column;
};
template <class T>
void candidate_scores_backward(Cpu, const NearnessSize&, const NearnessStrides&, const T* dy,
                               const T* y, const T* x, const T* z, T* dx, bool add);
template <class T>
void candidate_scores_backward(Cuda, const NearnessSize&, const NearnessStrides&, const T* dy,
                               const T* y, const T* x, const T* z, T* dx, bool add);

// y [n]; k is not used
template <class T>
void pair_scores(Cpu, const NearnessSize&, const T* q, const T* c, T* y);
template <class T>
void pair_scores(Cuda, const NearnessSize&, const T* q, const T* c, T* y);

// dx[i,:] = (add ? dx : 0) + dy[i] d nearness(x[i,:], z[i,:]) / d x[i,:]
template <class T>
void pair_scores_backward(Cpu, const NearnessSize&, const T* dy, const T* y, const T* x, const T* z,
                          T* dx, bool add);
template <class T>
void pair_scores_backward(Cuda, const NearnessSize&, const T* dy, const T* y, const T* x,
                          const T* z, T* dx, bool add);

}  // namespace fusor::ops::kernels
