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

void check_offsets(std::string_view op, const Tensor& offsets, const AttentionShape& s) {
  require(offsets.defined() && offsets.dtype() == DType::i32 && offsets.rank() == 2 &&
              offsets.dim(0) == s.batch && offsets.dim(1) > 1,
          op, ": offsets ", offsets.shape(), " ", offsets.dtype(), " are not i32 [", s.batch,
          ", documents + 1]");
}

void check_dropout(std::string_view op, const AttentionDropout& d) {
  require(0 <= d.p && d.p < 1, op, ": dropout p = ", d.p, " is not in [0, 1)");
  require(d.p == 0 || (d.key.step.defined() && d.key.step.size() == 1), op,
          ": the step of the dropout is no i64 [1]");
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

// One block: every query, and all keys that it sees.
Var attend_to_itself(const Var& qkv, const AttentionShape& s, const ops::AttentionLengths& lengths,
                     const AttentionDropout& dropout) {
  const Tensor& x = qkv.value();
  const AttentionBlock block{
      s, 0, s.causal ? ops::Visible::causal(0, s.seq_len) : ops::Visible::all(s.seq_len), lengths,
      dropout};
  const AttentionSaved saved = attend(block, x, x, qkv.grad().wanted());
  return record(saved.y, {qkv}, [block, saved, d = qkv.grad()](const Tensor& dy) {
    d.accumulate([&](const Tensor& to, bool add) {
      ops::attention_block_backward(block, saved, saved.q, dy, {to, to, add, add});
    });
  });
}

}  // namespace

Var attention(const Var& qkv, const AttentionShape& s, const Tensor& lengths,
              const AttentionDropout& dropout) {
  ops::check_qkv("attention", qkv.value(), s);
  check_lengths("attention", lengths, s);
  check_dropout("attention", dropout);
  return attend_to_itself(qkv, s, {.lengths = lengths, .kv_lengths = lengths}, dropout);
}

Var packed_attention(const Var& qkv, const AttentionShape& s, const Tensor& offsets,
                     const AttentionDropout& dropout) {
  ops::check_qkv("packed_attention", qkv.value(), s);
  check_offsets("packed_attention", offsets, s);
  check_dropout("packed_attention", dropout);
  return attend_to_itself(qkv, s, {.offsets = offsets}, dropout);
}

Var cross_attention(const Var& q, const Var& kv, const AttentionShape& s, const Tensor& kv_lengths,
                    const AttentionDropout& dropout) {
  ops::check_q_kv("cross_attention", q.value(), kv.value(), s);
  check_lengths("cross_attention", kv_lengths, s);
  check_dropout("cross_attention", dropout);
  AttentionBlock block{s, 0, ops::Visible::all(s.kv_seq_len), {.kv_lengths = kv_lengths}, dropout};
  block.shape.causal = false;
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
