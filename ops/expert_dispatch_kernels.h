#pragma once
#include <cstdint>

#include "ops/row_map.h"
#include "runtime/launch.h"

// Defined in expert_dispatch_cpu.cc and expert_dispatch_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// global [global_rows, k] = -1, then choices [rows, k] at their places.
void global_choices(Cpu, std::int64_t rows, std::int64_t global_rows, std::int64_t k,
                    const std::int32_t* choices, RowMap map, std::int32_t* global);
void global_choices(Cuda, std::int64_t rows, std::int64_t global_rows, std::int64_t k,
                    const std::int32_t* choices, RowMap map, std::int32_t* global);

struct RoutingSize {
  std::int64_t rows, global_rows, k, experts, capacity, slots_per_expert;
};
// What route_tokens() returns. `global` may be changed.
void route(Cpu, const RoutingSize&, RowMap map, std::int32_t* global, std::int32_t* slots,
           std::int32_t* sources, std::int32_t* counts);
void route(Cuda, const RoutingSize&, RowMap map, std::int32_t* global, std::int32_t* slots,
           std::int32_t* sources, std::int32_t* counts);

// buffer [num_slots, cols] = (add ? buffer : 0) + weight * the row of x [rows, cols] in each slot;
// nothing in empty ones. weights null: 1. Both the dispatch and the gradient of the combination.
template <class T, class A>
void expert_scatter(Cpu, std::int64_t num_slots, std::int64_t k, std::int64_t cols,
                    const std::int32_t* sources, const A* weights, const T* x, T* buffer, bool add);
template <class T, class A>
void expert_scatter(Cuda, std::int64_t num_slots, std::int64_t k, std::int64_t cols,
                    const std::int32_t* sources, const A* weights, const T* x, T* buffer, bool add);

// y [rows, cols] = (add ? y : 0) + the sum over a row's slots, in order of the choices, of weight *
// buffer. weights null: 1. Both the combination and the gradient of the dispatch.
template <class T, class A>
void expert_gather(Cpu, std::int64_t rows, std::int64_t k, std::int64_t cols,
                   const std::int32_t* slots, const A* weights, const T* buffer, T* y, bool add);
template <class T, class A>
void expert_gather(Cuda, std::int64_t rows, std::int64_t k, std::int64_t cols,
                   const std::int32_t* slots, const A* weights, const T* buffer, T* y, bool add);

// dweights [rows, k] = (add ? dweights : 0) + dy [rows, cols] . buffer of each slot; 0 for dropped.
template <class T, class A>
void expert_dots(Cpu, std::int64_t rows, std::int64_t k, std::int64_t cols,
                 const std::int32_t* slots, const T* dy, const T* buffer, A* dweights, bool add);
template <class T, class A>
void expert_dots(Cuda, std::int64_t rows, std::int64_t k, std::int64_t cols,
                 const std::int32_t* slots, const T* dy, const T* buffer, A* dweights, bool add);

}  // namespace fusor::ops::kernels
