#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ops/attention.h"
#include "runtime/launch.h"

// What attention() and cached_attention() share; defined in attention.cc.
namespace fusor::ops {

// Throws Error that names `op`, unless qkv is laid out as ops/attention.h describes.
void check_qkv(std::string_view op, const Tensor& qkv, const AttentionShape&);

// `products` multiply-adds of head_dim for each pair of a query and a key it sees, queries standing
// at positions first, first + 1, ...; exponentials are not counted.
double attention_flops(const AttentionShape&, std::int64_t first, int products);

// For one call of kernels::attention.
Tensor attention_workspace(const Tensor& qkv, const AttentionShape&);

}  // namespace fusor::ops

// Defined in attention_cpu.cc, attention_backward_cpu.cc and attention_cuda.cu.
namespace fusor::ops::kernels {

// The vectors [head_dim] of all (sequence, position, head) within a wider array; in elements.
template <class T>
struct Heads {
  T* data;                // sequence 0, position 0, head 0
  std::int64_t row;       // from a position to the next
  std::int64_t batch;     // from a sequence to the next
  std::int64_t head_dim;  // from a head to the next: they stand side by side

  T* at(std::int64_t b, std::int64_t t, std::int64_t h) const {
    return data + b * batch + t * row + h * head_dim;
  }
};

// The query, key and value columns of qkv, and the columns of y, as ops/attention.h lays them out.
template <class T>
Heads<T> heads_of(const AttentionShape& s, T* rows, std::int64_t columns, std::int64_t first_head) {
  return {rows + first_head * s.head_dim, columns, s.seq_len * columns, s.head_dim};
}
template <class T>
struct Qkv {
  Heads<T> q, k, v;
};
template <class T>
Qkv<T> qkv_heads(const AttentionShape& s, T* qkv) {
  const std::int64_t columns = (s.heads + 2 * s.kv_heads) * s.head_dim;
  return {heads_of(s, qkv, columns, 0), heads_of(s, qkv, columns, s.heads),
          heads_of(s, qkv, columns, s.heads + s.kv_heads)};
}
template <class T>
Heads<T> y_heads(const AttentionShape& s, T* y) {
  return heads_of(s, y, s.heads * s.head_dim, 0);
}

// y and the log-sum-exp of each row of scores [batch, heads, seq_len], which may be null. The
// queries stand at positions first, first + 1, ...; keys and values at 0, 1, ... up to the last
// query's.
template <class T>
void attention(Cpu, const AttentionShape&, std::int64_t first, const Qkv<const T>&, Heads<T> y,
               acc_t<T>* log_sum_exp, std::byte* workspace);
template <class T>
void attention(Cuda, const AttentionShape&, std::int64_t first, const Qkv<const T>&, Heads<T> y,
               acc_t<T>* log_sum_exp, std::byte* workspace);
// The bytes that one call works in.
template <class T>
std::size_t attention_workspace(Cpu, const AttentionShape&);
template <class T>
std::size_t attention_workspace(Cuda, const AttentionShape&);

// dqkv = (add ? dqkv : 0) + the gradient, of a call with first = 0.
template <class T>
struct AttentionGradient {
  Qkv<const T> qkv;
  Heads<const T> y, dy;
  const acc_t<T>* log_sum_exp;
  Qkv<T> dqkv;
  bool add;
};
template <class T>
void attention_backward(Cpu, const AttentionShape&, const AttentionGradient<T>&,
                        std::byte* workspace);
template <class T>
void attention_backward(Cuda, const AttentionShape&, const AttentionGradient<T>&,
                        std::byte* workspace);
template <class T>
std::size_t attention_backward_workspace(Cpu, const AttentionShape&);
template <class T>
std::size_t attention_backward_workspace(Cuda, const AttentionShape&);

}  // namespace fusor::ops::kernels
