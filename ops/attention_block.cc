#include "ops/attention_block.h"

#include <algorithm>
#include <type_traits>

namespace fusor::ops {
namespace {

using kernels::Heads;

Tensor workspace_of(const Device& device, std::size_t bytes) {
  const Owned workspace(device, Owner::workspace);
  return Tensor({static_cast<std::int64_t>(bytes)}, DType::u8, device);
}

// The block's queries as sequences of their own.
AttentionShape queries_of(const AttentionBlock& block) {
  AttentionShape s = block.shape;
  s.seq_len -= block.begin;
  return s;
}

// Heads of x [batch * positions, columns] from column `first` on and position `begin` of each row
// of the batch.
template <class T>
Heads<T> heads_of(const AttentionShape& s, const Tensor& x, std::int64_t first,
                  std::int64_t begin) {
  const std::int64_t columns = x.dim(1);
  return {x.data<std::remove_const_t<T>>() + begin * columns + first, columns,
          x.dim(0) / s.batch * columns, s.head_dim};
}
template <class A>
Heads<A> log_sum_exp_of(const AttentionBlock& block, const Tensor& x) {
  if (!x.defined()) return {};
  const AttentionShape& s = block.shape;
  return {x.data<std::remove_const_t<A>>() + block.begin, 1, s.heads * s.seq_len, s.seq_len};
}

template <class T>
kernels::Qkv<T> qkv_of(const AttentionBlock& block, const Tensor& q, const Tensor& kv) {
  const AttentionShape& s = block.shape;
  const std::int64_t width = s.kv_heads * s.head_dim, last = kv.dim(1) - width;
  return {heads_of<T>(s, q, 0, block.begin), heads_of<T>(s, kv, last - width, 0),
          heads_of<T>(s, kv, last, 0)};
}

const std::int32_t* data_of(const Tensor& lengths) {
  return lengths.defined() ? lengths.data<std::int32_t>() : nullptr;
}
bool is_plain(const AttentionBlock& block) {
  const AttentionLengths& l = block.lengths;
  return !l.lengths.defined() && !l.kv_lengths.defined() && !l.offsets.defined() &&
         block.dropout.p == 0;
}

// To be read by kernels.
Visible visible_of(const AttentionBlock& block) {
  Visible visible = block.visible;
  visible.lengths = data_of(block.lengths.lengths);
  visible.kv_lengths = data_of(block.lengths.kv_lengths);
  visible.offsets = data_of(block.lengths.offsets);
  if (visible.offsets) visible.documents = block.lengths.offsets.dim(1) - 1;
  return visible;
}

// Of the queries, keys and values of whole sequences.
double qkv_bytes(const AttentionShape& s, const Tensor& q, const Tensor& kv) {
  const std::int64_t heads = q.dim(0) * s.heads + kv.dim(0) * 2 * s.kv_heads;
  return static_cast<double>(heads * s.head_dim) * static_cast<double>(size_of(q.dtype()));
}

// f.operator()<T, Y>() with T of `dtype` and Y of `wide`: T or what accumulates it.
template <class F>
void on_wide(DType dtype, DType wide, F&& f) {
  on_float(dtype, [&]<class T> {
    if (wide == dtype)
      f.template operator()<T, T>();
    else
      f.template operator()<T, acc_t<T>>();
  });
}

}  // namespace

void attention_block(const AttentionBlock& block, const Tensor& q, const Tensor& kv,
                     const Tensor& y, const Tensor& log_sum_exp, bool merge) {
  const AttentionShape s = queries_of(block);
  const Tensor workspace = attention_workspace(q, s, is_plain(block));
  // Two products: scores, and values weighted by them.
  const Cost cost{.flops = attention_flops(s, block.visible, 2),
                  .bytes = qkv_bytes(s, q, kv) + static_cast<double>(y.bytes())};
  launch(y.device(), "attention", cost, [&](auto tag) {
    on_wide(q.dtype(), y.dtype(), [&]<class T, class Y> {
      kernels::attention<T, Y>(tag, s, visible_of(block), qkv_of<const T>(block, q, kv),
                               {.y = heads_of<Y>(block.shape, y, 0, block.begin),
                                .log_sum_exp = log_sum_exp_of<acc_t<T>>(block, log_sum_exp),
                                .merge = merge,
                                .drops = weight_mask(block.dropout)},
                               workspace.raw());
    });
  });
}

void attention_block_backward(const AttentionBlock& block, const AttentionSaved& saved,
                              const Tensor& kv, const Tensor& dy,
                              const AttentionBlockGradient& to) {
  const AttentionShape s = queries_of(block);
  const std::int64_t kv_rows = kv.dim(0) / s.batch;
  const Device& device = dy.device();
  std::size_t bytes = 0;
  on_backend(device.like(), [&](auto tag) {
    on_wide(dy.dtype(), to.dq.dtype(), [&]<class T, class D> {
      bytes = kernels::attention_backward_workspace<T, D>(tag, s, kv_rows, is_plain(block));
    });
  });
  const Tensor workspace = workspace_of(device, bytes);
  // Five products: the scores again, and the gradients of weights, values, keys and queries.
  const Cost cost{.flops = attention_flops(s, block.visible, 5),
                  .bytes = (to.add_kv ? 3 : 2) * qkv_bytes(s, saved.q, kv) +
                           static_cast<double>(2 * dy.bytes() + saved.log_sum_exp.bytes())};
  launch(device, "attention_backward", cost, [&](auto tag) {
    on_wide(dy.dtype(), to.dq.dtype(), [&]<class T, class D> {
      kernels::attention_backward<T, D>(
          tag, s, visible_of(block),
          {.qkv = qkv_of<const T>(block, saved.q, kv),
           .y = heads_of<const T>(block.shape, saved.y, 0, block.begin),
           .dy = heads_of<const T>(block.shape, dy, 0, block.begin),
           .log_sum_exp = log_sum_exp_of<const acc_t<T>>(block, saved.log_sum_exp),
           .dqkv = qkv_of<D>(block, to.dq, to.dkv),
           .kv_rows = kv_rows,
           .add_q = to.add_q,
           .add_kv = to.add_kv,
           .drops = weight_mask(block.dropout)},
          workspace.raw());
    });
  });
}

namespace {

void check_heads(std::string_view op, const AttentionShape& s) {
  require(s.batch > 0 && s.seq_len > 0 && s.heads > 0 && s.kv_heads > 0 && s.head_dim > 0, op,
          ": batch ", s.batch, ", seq_len ", s.seq_len, ", heads ", s.heads, ", kv_heads ",
          s.kv_heads, ", head_dim ", s.head_dim, " should all be positive");
  require(s.heads % s.kv_heads == 0, op, ": kv_heads ", s.kv_heads, " does not divide heads ",
          s.heads);
}

}  // namespace

void check_qkv(std::string_view op, const Tensor& qkv, const AttentionShape& s) {
  check_heads(op, s);
  require(s.kv_seq_len == 0, op, ": kv_seq_len ", s.kv_seq_len, " is for cross_attention alone");
  const Shape want{s.batch * s.seq_len, q_columns(s)};
  require(qkv.shape() == want, op, ": qkv ", qkv.shape(), " but the heads make ", want);
}

void check_q_kv(std::string_view op, const Tensor& q, const Tensor& kv, const AttentionShape& s) {
  check_heads(op, s);
  require(s.kv_seq_len > 0, op, ": kv_seq_len ", s.kv_seq_len, " should be positive");
  const Shape want{s.batch * s.seq_len, q_columns(s)};
  require(q.shape() == want, op, ": q ", q.shape(), " but the heads make ", want);
  const Shape want_kv{s.batch * s.kv_seq_len, kv_columns(s)};
  require(kv.shape() == want_kv, op, ": kv ", kv.shape(), " but the heads make ", want_kv);
  require(kv.dtype() == q.dtype(), op, ": q is ", q.dtype(), " and kv ", kv.dtype());
}

double attention_flops(const AttentionShape& s, const Visible& visible, int products) {
  // Query i sees min(keys, first + i + 1) keys: fewer than all as long as i < growing.
  const auto n = static_cast<double>(s.seq_len), keys = static_cast<double>(visible.keys);
  const auto first = static_cast<double>(visible.first);
  const double growing = std::clamp(keys - 1 - first, 0.0, n);
  const double pairs = growing * first + growing * (growing + 1) / 2 + (n - growing) * keys;
  return 2.0 * products * static_cast<double>(s.batch * s.heads * s.head_dim) * pairs;
}

Tensor attention_workspace(const Tensor& qkv, const AttentionShape& s, bool plain) {
  std::size_t bytes = 0;
  on_backend(qkv.device().like(), [&](auto tag) {
    on_float(qkv.dtype(), [&]<class T> { bytes = kernels::attention_workspace<T>(tag, s, plain); });
  });
  return workspace_of(qkv.device(), bytes);
}

}  // namespace fusor::ops
