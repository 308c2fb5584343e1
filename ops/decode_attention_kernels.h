#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/attention_kernels.h"

// Defined in decode_attention_cpu.cc and decode_attention_cuda.cu.
namespace fusor::ops::kernels {

// Copies k and v of shape.seq_len positions to positions position, position + 1, ... of the caches.
template <class T>
void append_to_cache(Cpu, const AttentionShape&, const Qkv<const T>&, std::int64_t position,
                     Heads<T> k_cache, Heads<T> v_cache);
template <class T>
void append_to_cache(Cuda, const AttentionShape&, const Qkv<const T>&, std::int64_t position,
                     Heads<T> k_cache, Heads<T> v_cache);

// kernels::attention() of one query a sequence, at position `position`: shape.seq_len is 1.
template <class T>
void decode_attention(Cpu, const AttentionShape&, std::int64_t position, const Qkv<const T>&,
                      Heads<T> y, std::byte* workspace);
template <class T>
void decode_attention(Cuda, const AttentionShape&, std::int64_t position, const Qkv<const T>&,
                      Heads<T> y, std::byte* workspace);
// The bytes that a call works in, wherever in a cache of `capacity` positions.
template <class T>
std::size_t decode_attention_workspace(Cpu, const AttentionShape&, std::int64_t capacity);
template <class T>
std::size_t decode_attention_workspace(Cuda, const AttentionShape&, std::int64_t capacity);

}  // namespace fusor::ops::kernels
