#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in top_k_router_cpu.cc and top_k_router_cuda.cu.
namespace fusor::ops::kernels {

// choices [rows, k] of logits [rows, experts]
template <class A>
void top_k(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
           std::int32_t* choices);
template <class A>
void top_k(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
           std::int32_t* choices);

// weights [rows, k]
template <class A>
void router_weights(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
                    const std::int32_t* choices, A* weights);
template <class A>
void router_weights(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
                    const std::int32_t* choices, A* weights);

// counts [experts] may be null: no balance; loss_scale [1] may be null: 1.
struct Pull {
  const std::int32_t* counts;
  double coefficient;
  const double* loss_scale;
};

// dlogits [rows, experts] = (add ? dlogits : 0) + d
template <class A>
void router_weights_backward(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t k,
                             const A* dweights, const A* logits, const std::int32_t* choices,
                             const Pull&, A* dlogits, bool add);
template <class A>
void router_weights_backward(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t k,
                             const A* dweights, const A* logits, const std::int32_t* choices,
                             const Pull&, A* dlogits, bool add);

}  // namespace fusor::ops::kernels
