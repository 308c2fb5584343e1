#include "ops/attention.h"

#include "ops/attention_kernels.h"

namespace fusor {
namespace {

Tensor workspace_of(const Device& device, std::size_t bytes) {
  const Owned workspace(device, Owner::workspace);
  return Tensor({static_cast<std::int64_t>(bytes)}, DType::u8, device);
}

void forward(const AttentionShape& s, const Tensor& qkv, const Tensor& y,
             const Tensor& log_sum_exp) {
  on_float(y.dtype(), [&]<class T> {
    const Tensor workspace = ops::attention_workspace(qkv, s);
    // Two products: scores, and values weighted by them.
    const Cost cost{.flops = ops::attention_flops(s, 0, 2),
                    .bytes = static_cast<double>(qkv.bytes() + y.bytes())};
    launch(y.device(), "attention", cost, [&](auto tag) {
      ops::kernels::attention<T>(tag, s, 0, ops::kernels::qkv_heads<const T>(s, qkv.data<T>()),
                                 ops::kernels::y_heads(s, y.data<T>()),
                                 log_sum_exp.defined() ? log_sum_exp.data<acc_t<T>>() : nullptr,
                                 workspace.raw());
    });
  });
}

struct Saved {
  Tensor qkv, y, log_sum_exp;
};

void backward(const AttentionShape& s, const Saved& saved, const Tensor& dy, const Tensor& dqkv,
              bool add) {
  on_float(dy.dtype(), [&]<class T> {
    std::size_t bytes = 0;
    on_backend(dy.device().like(),
               [&](auto tag) { bytes = ops::kernels::attention_backward_workspace<T>(tag, s); });
    const Tensor workspace = workspace_of(dy.device(), bytes);
    // Five products: the scores again, and the gradients of weights, values, keys and queries.
    const Cost cost{.flops = ops::attention_flops(s, 0, 5),
                    .bytes = static_cast<double>((add ? 3 : 2) * dqkv.bytes() + 2 * dy.bytes() +
                                                 saved.log_sum_exp.bytes())};
    launch(dy.device(), "attention_backward", cost, [&](auto tag) {
      ops::kernels::attention_backward<T>(
          tag, s,
          {.qkv = ops::kernels::qkv_heads<const T>(s, saved.qkv.data<T>()),
           .y = ops::kernels::y_heads<const T>(s, saved.y.data<T>()),
           .dy = ops::kernels::y_heads<const T>(s, dy.data<T>()),
           .log_sum_exp = saved.log_sum_exp.data<acc_t<T>>(),
           .dqkv = ops::kernels::qkv_heads(s, dqkv.data<T>()),
           .add = add},
          workspace.raw());
    });
  });
}

}  // namespace

Var attention(const Var& qkv, const AttentionShape& s) {
  const Tensor& x = qkv.value();
  ops::check_qkv("attention", x, s);
  Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, x.dtype(), x.device());
  Tensor log_sum_exp;
  if (qkv.grad().wanted())
    log_sum_exp = Tensor({s.batch, s.heads, s.seq_len}, acc_dtype(x.dtype()), x.device());
  forward(s, x, y, log_sum_exp);
  return record(y, {qkv}, [s, saved = Saved{x, y, log_sum_exp}, d = qkv.grad()](const Tensor& dy) {
    d.accumulate([&](const Tensor& to, bool add) { backward(s, saved, dy, to, add); });
  });
}

namespace ops {

void check_qkv(std::string_view op, const Tensor& qkv, const AttentionShape& s) {
  require(s.batch > 0 && s.seq_len > 0 && s.heads > 0 && s.kv_heads > 0 && s.head_dim > 0, op,
          ": batch ", s.batch, ", seq_len ", s.seq_len, ", heads ", s.heads, ", kv_heads ",
          s.kv_heads, ", head_dim ", s.head_dim, " should all be positive");
  require(s.heads % s.kv_heads == 0, op, ": kv_heads ", s.kv_heads, " does not divide heads ",
          s.heads);
  const Shape want{s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim};
  require(qkv.shape() == want, op, ": qkv ", qkv.shape(), " but the heads make ", want);
}

double attention_flops(const AttentionShape& s, std::int64_t first, int products) {
  const auto n = static_cast<double>(s.seq_len);
  const double pairs = n * static_cast<double>(first) + n * (n + 1) / 2;
  return 2.0 * products * static_cast<double>(s.batch * s.heads * s.head_dim) * pairs;
}

Tensor attention_workspace(const Tensor& qkv, const AttentionShape& s) {
  std::size_t bytes = 0;
  on_backend(qkv.device().like(), [&](auto tag) {
    on_float(qkv.dtype(), [&]<class T> { bytes = kernels::attention_workspace<T>(tag, s); });
  });
  return workspace_of(qkv.device(), bytes);
}

}  // namespace ops
}  // namespace fusor
