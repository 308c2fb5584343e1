#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ops/attention.h"
#include "ops/attention_dropout.h"
#include "ops/attention_sequences.h"
#include "runtime/launch.h"

// What attention(), cached_attention() and ring_attention() share; defined in attention_block.cc.
namespace fusor::ops {

// Throws Error that names `op`, unless qkv is laid out as ops/attention.h describes.
void check_qkv(std::string_view op, const Tensor& qkv, const AttentionShape&);
// The same of q and kv of cross_attention().
void check_q_kv(std::string_view op, const Tensor& q, const Tensor& kv, const AttentionShape&);

// Of attention() or cross_attention(): the positions of a sequence of keys, and the columns of the
// tensors that hold queries and keys.
inline std::int64_t keys_of(const AttentionShape& s) {
  return s.kv_seq_len > 0 ? s.kv_seq_len : s.seq_len;
}
inline std::int64_t q_columns(const AttentionShape& s) {
  return (s.heads + (s.kv_seq_len > 0 ? 0 : 2 * s.kv_heads)) * s.head_dim;
}
inline std::int64_t kv_columns(const AttentionShape& s) {
  return ((s.kv_seq_len > 0 ? 0 : s.heads) + 2 * s.kv_heads) * s.head_dim;
}

// `products` multiply-adds of head_dim for each pair of a query and a key it sees; exponentials are
// not counted.
double attention_flops(const AttentionShape&, const Visible&, int products);

// For one call of kernels::attention; plain: as there.
Tensor attention_workspace(const Tensor& qkv, const AttentionShape&, bool plain = true);

}  // namespace fusor::ops

// Defined in attention_cpu.cc, attention_backward_cpu.cc and attention_cuda.cc. A shape's seq_len
// is the number of queries in a row of the batch; which keys there are, Visible tells.
namespace fusor::ops::kernels {

// The vectors [head_dim] of all (sequence, position, head) within a wider array; in elements.
template <class T>
struct Heads {
  T* data;             // sequence 0, position 0, head 0
  std::int64_t row;    // from a position to the next
  std::int64_t batch;  // from a sequence to the next
  std::int64_t head;   // from a head to the next

  constexpr T* at(std::int64_t b, std::int64_t t, std::int64_t h) const {
    return data + b * batch + t * row + h * head;
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

// y [.., head_dim] and the log-sum-exp [.., 1] of each query's scores. Y is T or acc_t<T>. Without
// merge, y is zero where a query sees nothing.
template <class T, class Y = T>
struct AttentionResult {
  Heads<Y> y;
  Heads<acc_t<T>> log_sum_exp;  // data may be null
  bool merge;                   // with the y and log-sum-exp that other keys have left there
  WeightMask drops{};
};
template <class T, class Y>
void attention(Cpu, const AttentionShape&, const Visible&, const Qkv<const T>&,
               const AttentionResult<T, Y>&, std::byte* workspace);
template <class T, class Y>
void attention(Cuda, const AttentionShape&, const Visible&, const Qkv<const T>&,
               const AttentionResult<T, Y>&, std::byte* workspace);
// The bytes that one call works in. plain: it has no lengths, offsets or dropout.
template <class T>
std::size_t attention_workspace(Cpu, const AttentionShape&, bool plain = true);
template <class T>
std::size_t attention_workspace(Cuda, const AttentionShape&, bool plain = true);

// y and the log-sum-exp are those over all keys, the call's and others'.
//   dq = (add_q ? dq : 0) + the gradient,  dk, dv = (add_kv ? dk, dv : 0) + the gradient
// The rows of the batch hold kv_rows keys; the gradient of those that no query sees is zero.
template <class T, class D>
struct AttentionGradient {
  Qkv<const T> qkv;
  Heads<const T> y, dy;
  Heads<const acc_t<T>> log_sum_exp;
  Qkv<D> dqkv;
  std::int64_t kv_rows;
  bool add_q, add_kv;
  WeightMask drops{};  // as forward had them
};
template <class T, class D>
void attention_backward(Cpu, const AttentionShape&, const Visible&, const AttentionGradient<T, D>&,
                        std::byte* workspace);
template <class T, class D>
void attention_backward(Cuda, const AttentionShape&, const Visible&, const AttentionGradient<T, D>&,
                        std::byte* workspace);
template <class T, class D>
std::size_t attention_backward_workspace(Cpu, const AttentionShape&, std::int64_t keys,
                                         bool plain = true);
template <class T, class D>
std::size_t attention_backward_workspace(Cuda, const AttentionShape&, std::int64_t keys,
                                         bool plain = true);

}  // namespace fusor::ops::kernels
