#pragma once
#include <cstdint>

#include "ops/attention.h"
#include "runtime/dtype.h"
#include "runtime/launch.h"

// Defined in decode_attention_cpu.cc and decode_attention_cuda.cu.
namespace fusor::ops::kernels {

struct DecodeCall {
  AttentionShape shape;
  std::int64_t capacity, position;
};

template <class T>
void cached_attention(Cpu, const DecodeCall&, const T* qkv, T* k_cache, T* v_cache, T* y);
template <class T>
void cached_attention(Cuda, const DecodeCall&, const T* qkv, T* k_cache, T* v_cache, T* y);

}  // namespace fusor::ops::kernels
