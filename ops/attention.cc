#include "ops/attention.h"

#include "ops/attention_block.h"

namespace fusor {
namespace {

using ops::AttentionBlock;
using ops::AttentionSaved;

void check_lengths(std::string_view op, const Tensor& lengths, const AttentionShape& s) {
  if (!lengths.defined()) return;
  require(lengths.dtype() == DType::i32 && lengths.shape() == Shape{s.batch}, op, ": lengths ",
          lengths.shape(), " ", lengths.dtype(), " but there are ", s.batch,
          " sequences, each with a length in i32");
}

// What backward needs of y = attention of q to kv, which may be the same.
AttentionSaved attend(const AttentionBlock& block, const Tensor& q, const Tensor& kv, bool trains) {
  const AttentionShape& s = block.shape;
  AttentionSaved saved{q, Tensor({q.dim(0), s.heads * s.head_dim}, q.dtype(), q.device()), {}};
  if (trains)
    saved.log_sum_exp = Tensor({s.batch, s.heads, s.seq_len}, acc_dtype(q.dtype()), q.device());
  ops::attention_block(block, q, kv, saved.y, saved.log_sum_exp, /*merge=*/false);
  return saved;
}

// f(to, add) where the gradient of `value` is wanted; else where it is not kept.
template <class F>
void into(const Grad& gradient, const Tensor& value, F&& f) {
  if (gradient.wanted()) return gradient.accumulate(f);
  const Owned workspace(value.device(), Owner::workspace);
  f(empty_like(value), false);
}

}  // namespace

// One block: every query, and all keys that it sees.
Var attention(const Var& qkv, const AttentionShape& s, const Tensor& lengths) {
  const Tensor& x = qkv.value();
  ops::check_qkv("attention", x, s);
  check_lengths("attention", lengths, s);
  const AttentionBlock block{
      s,
      0,
      s.causal ? ops::Visible::causal(0, s.seq_len) : ops::Visible::all(s.seq_len),
      {.lengths = lengths, .kv_lengths = lengths}};
  const AttentionSaved saved = attend(block, x, x, qkv.grad().wanted());
  return record(saved.y, {qkv}, [block, saved, d = qkv.grad()](const Tensor& dy) {
    d.accumulate([&](const Tensor& to, bool add) {
      ops::attention_block_backward(block, saved, saved.q, dy, {to, to, add, add});
    });
  });
}

Var cross_attention(const Var& q, const Var& kv, const AttentionShape& s,
                    const Tensor& kv_lengths) {
  ops::check_q_kv("cross_attention", q.value(), kv.value(), s);
  check_lengths("cross_attention", kv_lengths, s);
  const AttentionBlock block{
      s, 0, ops::Visible::all(s.kv_seq_len), {.lengths = {}, .kv_lengths = kv_lengths}};
  const bool trains = q.grad().wanted() || kv.grad().wanted();
  const AttentionSaved saved = attend(block, q.value(), kv.value(), trains);
  return record(
      saved.y, {q, kv},
      [block, saved, keys = kv.value(), d_q = q.grad(), d_kv = kv.grad()](const Tensor& dy) {
        into(d_q, saved.q, [&](const Tensor& dq, bool add_q) {
          into(d_kv, keys, [&](const Tensor& dkv, bool add_kv) {
            ops::attention_block_backward(block, saved, keys, dy, {dq, dkv, add_q, add_kv});
          });
        });
      });
}

}  // namespace fusor
