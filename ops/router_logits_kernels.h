#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in router_logits_cpu.cc and router_logits_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// logits [rows, experts] = x [rows, cols] w [experts, cols]^T
template <class T, class A>
void router_logits(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols, const T* x,
                   const T* w, A* logits);
template <class T, class A>
void router_logits(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t cols, const T* x,
                   const T* w, A* logits);

// dx [rows, cols] = (add ? dx : 0) + dlogits [rows, experts] w [experts, cols]
template <class T, class A>
void router_logits_dx(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* w, T* dx, bool add);
template <class T, class A>
void router_logits_dx(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* w, T* dx, bool add);

// dw [experts, cols] = (add ? dw : 0) + dlogits [rows, experts]^T x [rows, cols]
template <class T, class A>
void router_logits_dw(Cpu, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* x, A* dw, bool add);
template <class T, class A>
void router_logits_dw(Cuda, std::int64_t rows, std::int64_t experts, std::int64_t cols,
                      const A* dlogits, const T* x, A* dw, bool add);

}  // namespace fusor::ops::kernels
