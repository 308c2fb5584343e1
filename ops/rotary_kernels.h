#pragma once
#include <cstdint>

#include "ops/attention_kernels.h"
#include "ops/row_map.h"
#include "runtime/dtype.h"
#include "runtime/launch.h"

// Defined in rotary_cpu.cc and rotary_cuda.cu.
namespace fusor::ops::kernels {

struct RotaryCall {
  AttentionShape shape;
  double theta;
  RowMap map;
  bool inverse;  // turn back: the derivative of a rotation
};

// table [map.local_len, head_dim]: for each token of a sample that is held here, the cosines of its
// position's angles, then their sines.
template <class T>
void rotary_table(Cpu, const RotaryCall&, acc_t<T>* table);
template <class T>
void rotary_table(Cuda, const RotaryCall&, acc_t<T>* table);

// y = rotated x; y may be x. Rows of (heads + 2 kv_heads) * head_dim.
template <class T>
void rotary(Cpu, const RotaryCall&, const T* x, const acc_t<T>* table, T* y);
template <class T>
void rotary(Cuda, const RotaryCall&, const T* x, const acc_t<T>* table, T* y);

}  // namespace fusor::ops::kernels
