#include "parallel/ring_attention.h"

#include <optional>
#include <string>

#include "ops/add.h"
#include "ops/attention_block.h"
#include "ops/columns.h"
#include "ops/fill.h"
#include "parallel/collectives.h"

namespace fusor {
namespace {

using ops::AttentionBlock;
using ops::Visible;

Tensor communicated(Shape shape, DType dtype, const Device& device) {
  const Owned communication(device, Owner::communication);
  return Tensor(std::move(shape), dtype, device);
}

// Hands a tensor to the next rank of the ring and takes that of the one before.
class Shift {
 public:
  // what: "ring kv", of a step
  Shift(const Group& ring, const Tensor& mine, const char* what, int step)
      : got_(communicated(mine.shape(), mine.dtype(), mine.device())) {
    const std::string name = call_name(mine, what) + '.' + std::to_string(step);
    const int n = ring.size(), next = (ring.rank() + 1) % n, before = (ring.rank() + n - 1) % n;
    sent_ = ring->send(mine, next, name);
    received_ = ring->recv(got_, before, name);
  }
  Tensor wait() {
    received_.wait();
    sent_.wait();
    return got_;
  }

 private:
  Tensor got_;
  Pending sent_, received_;
};

std::int64_t kv_width(const AttentionShape& s) { return 2 * s.kv_heads * s.head_dim; }
std::int64_t q_width(const AttentionShape& s) { return s.heads * s.head_dim; }

// The keys and values [rows, 2 kv_heads * head_dim] of qkv, side by side.
Tensor packed_kv(const Tensor& qkv, const AttentionShape& s) {
  const std::int64_t width = kv_width(s);
  Tensor kv = communicated({qkv.dim(0), width}, qkv.dtype(), qkv.device());
  ops::copy_columns({qkv, q_width(s), width}, {kv, 0, width}, /*add=*/false);
  return kv;
}

// What this rank attends to in a step, when it holds the keys and values of the rank `step` places
// before it on the ring. It has chunks c and 2n - 1 - c of a sequence, and rank o has o and
// 2n - 1 - o. From o < c, both its chunks see the first and neither the second; from o > c, its
// second chunk sees both and its first none.
AttentionBlock block_of(const AttentionShape& s, const Group& cp, int step) {
  const std::int64_t chunk = s.seq_len / 2;
  if (step == 0) return {s, 0, Visible::causal(0, s.seq_len)};
  if (step <= cp.rank()) return {s, 0, Visible::all(chunk)};
  return {s, chunk, Visible::all(s.seq_len)};
}

// y and log_sum_exp, both in the accumulator's dtype.
void forward(const AttentionShape& s, const Group& cp, const Tensor& qkv, const Tensor& y,
             const Tensor& log_sum_exp) {
  Tensor kv = packed_kv(qkv, s);
  for (int step = 0; step < cp.size(); ++step) {
    std::optional<Shift> shift;
    if (step + 1 < cp.size()) shift.emplace(cp, kv, "ring kv", step + 1);
    ops::attention_block(block_of(s, cp, step), qkv, kv, y, log_sum_exp, /*merge=*/step > 0);
    if (shift) kv = shift->wait();
  }
}

void backward(const AttentionShape& s, const Group& cp, const ops::AttentionSaved& saved,
              const Tensor& dy, const Tensor& dqkv, bool add) {
  const std::int64_t rows = dy.dim(0);
  const DType wide = acc_dtype(dy.dtype());
  const Tensor dq({rows, q_width(s)}, wide, dy.device());
  Tensor kv = packed_kv(saved.q, s);
  std::optional<Shift> gradients;  // of the keys and values in hand, by the ranks they have passed
  for (int step = 0; step < cp.size(); ++step) {
    std::optional<Shift> shift;
    if (step + 1 < cp.size()) shift.emplace(cp, kv, "ring_backward kv", step + 1);
    const Tensor dkv = communicated({rows, kv_width(s)}, wide, dy.device());
    ops::attention_block_backward(block_of(s, cp, step), saved, kv, dy,
                                  {dq, dkv, /*add_q=*/step > 0, /*add_kv=*/false});
    if (gradients) ops::add_into(dkv, gradients->wait(), true);
    gradients.emplace(cp, dkv, "ring_backward dkv", step + 1);
    if (shift) kv = shift->wait();
  }
  ops::copy_columns({dq, 0, dq.dim(1)}, {dqkv, 0, dq.dim(1)}, add);
  const Tensor dkv = gradients->wait();
  ops::copy_columns({dkv, 0, dkv.dim(1)}, {dqkv, dq.dim(1), dkv.dim(1)}, add);
}

}  // namespace

Var ring_attention(const Var& qkv, const AttentionShape& s, const Group& cp) {
  if (cp.size() == 1) return attention(qkv, s);
  const Tensor& x = qkv.value();
  ops::check_qkv("ring_attention", x, s);
  require(s.seq_len % 2 == 0, "ring_attention: a rank holds two chunks of each sequence, not ",
          s.seq_len, " tokens");
  const DType wide = acc_dtype(x.dtype());
  Tensor y({x.dim(0), q_width(s)}, x.dtype(), x.device());
  const Tensor log_sum_exp({s.batch, s.heads, s.seq_len}, wide, x.device());
  const Tensor sum = wide == x.dtype() ? y : Tensor(y.shape(), wide, x.device());
  forward(s, cp, x, sum, log_sum_exp);
  if (wide != x.dtype()) ops::convert(sum, y);
  return record(
      y, {qkv},
      [s, cp, saved = ops::AttentionSaved{x, y, log_sum_exp}, d = qkv.grad()](const Tensor& dy) {
        d.accumulate([&](const Tensor& to, bool add) { backward(s, cp, saved, dy, to, add); });
      });
}

}  // namespace fusor
