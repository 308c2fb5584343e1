#pragma once
#include <cstdint>

#include "ops/relate.h"
#include "runtime/launch.h"

// Defined in relate_cpu.cc and relate_cuda.cu. inverse may be null.
namespace fusor::ops::kernels {

// The rows of a call.
struct RelateSize {
  Relating kind;
  std::int64_t rows, cols;      // of entities
  const std::int32_t* inverse;  // [rows]
};

template <class T>
void relate(Cpu, const RelateSize&, const T* e, const T* r, T* q);
template <class T>
void relate(Cuda, const RelateSize&, const T* e, const T* r, T* q);

// de = (add ? de : 0) + d
template <class T>
void relate_backward_entity(Cpu, const RelateSize&, const T* dq, const T* r, T* de, bool add);
template <class T>
void relate_backward_entity(Cuda, const RelateSize&, const T* dq, const T* r, T* de, bool add);

// dr = (add ? dr : 0) + d
template <class T>
void relate_backward_relation(Cpu, const RelateSize&, const T* dq, const T* e, const T* r, T* dr,
                              bool add);
template <class T>
void relate_backward_relation(Cuda, const RelateSize&, const T* dq, const T* e, const T* r, T* dr,
                              bool add);

}  // namespace fusor::ops::kernels
