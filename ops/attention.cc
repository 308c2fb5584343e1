#include "ops/attention.h"

#include "ops/attention_block.h"

namespace fusor {

// One block: every query, and all keys before it.
Var attention(const Var& qkv, const AttentionShape& s) {
  const Tensor& x = qkv.value();
  ops::check_qkv("attention", x, s);
  const ops::AttentionBlock block{s, 0, ops::Visible::causal(0, s.seq_len)};
  Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, x.dtype(), x.device());
  Tensor log_sum_exp;
  if (qkv.grad().wanted())
    log_sum_exp = Tensor({s.batch, s.heads, s.seq_len}, acc_dtype(x.dtype()), x.device());
  ops::attention_block(block, x, x, y, log_sum_exp, /*merge=*/false);
  return record(
      y, {qkv},
      [block, saved = ops::AttentionSaved{x, y, log_sum_exp}, d = qkv.grad()](const Tensor& dy) {
        d.accumulate([&](const Tensor& to, bool add) {
          ops::attention_block_backward(block, saved, saved.qkv, dy, {to, to, add, add});
        });
      });
}

}  // namespace fusor
