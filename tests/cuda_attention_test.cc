// Attention on CUDA against the CPU, where the ladder does not reach: blocks of keys that are
// merged, offsets, keys that nobody sees, strides, every width of head, and the cache.
#include <gmock/gmock.h>

#include <set>

#include "ops/attention_kernels.h"
#include "ops/decode_attention.h"
#include "tests/cuda_gpu.h"
#include "tests/near.h"

namespace fusor {
namespace {

Tensor on_device(const Tensor& t, const Device& device) { return cast(t, t.dtype(), device); }

using ops::Visible;
using ops::kernels::Heads;
using ops::kernels::Qkv;

// `s.seq_len` queries a sequence, that see some of kv_rows keys.
struct Case {
  AttentionShape s;
  Visible visible;
  std::int64_t kv_rows;
  std::int64_t gap = 0;  // columns between the tensors' own: an odd one allows no vectors

  std::int64_t q_columns() const { return s.heads * s.head_dim + gap; }
  std::int64_t kv_columns() const { return s.kv_heads * s.head_dim + gap; }
  Shape queries() const { return {s.batch * s.seq_len, q_columns()}; }
  Shape keys() const { return {s.batch * kv_rows, kv_columns()}; }
  Shape sums() const { return {s.batch, s.heads, s.seq_len}; }
};
const Case kCases[] = {
    {{2, 5, 2, 2, 1}, Visible::causal(0, 5), 5},
    {{1, 70, 2, 1, 3}, Visible::causal(0, 70), 70},
    {{2, 70, 3, 1, 64}, {20, 85}, 100},
    {{1, 65, 2, 1, 80}, Visible::all(70), 70, 16},
    {{1, 20, 1, 1, 128}, {3, 10}, 70},
    {{1, 66, 1, 1, 128}, Visible::causal(64, 66), 130, 1},
    {{1, 10, 2, 1, 132}, Visible::causal(60, 10), 70},
};

template <class T>
Heads<T> heads(const Tensor& x, std::int64_t rows, std::int64_t head_dim) {
  const std::int64_t columns = x.dim(1);
  return {x.data<std::remove_const_t<T>>(), columns, rows * columns, head_dim};
}
template <class A>
Heads<A> sums(const AttentionShape& s, const Tensor& x) {
  return {x.data<std::remove_const_t<A>>(), 1, s.heads * s.seq_len, s.seq_len};
}

struct Inputs {
  Tensor q, k, v;
  Inputs(const Case& c, DType dtype, const Device& device)
      : q(on_device(noise(c.queries(), dtype, 1), device)),
        k(on_device(noise(c.keys(), dtype, 2), device)),
        v(on_device(noise(c.keys(), dtype, 3), device)) {}
  template <class T>
  Qkv<T> of(const Case& c) const {
    return {heads<T>(q, c.s.seq_len, c.s.head_dim), heads<T>(k, c.kv_rows, c.s.head_dim),
            heads<T>(v, c.kv_rows, c.s.head_dim)};
  }
};

// f.operator()<T, Y>(tag) with T of `dtype`, Y of `wide`.
template <class F>
void on(const Device& device, DType dtype, DType wide, F&& f) {
  on_backend(
      device.kind(),
      [&](auto tag) {
        on_float(dtype, [&]<class T> {
          if (wide == dtype)
            f.template operator()<T, T>(tag);
          else
            f.template operator()<T, acc_t<T>>(tag);
        });
      },
      device.backend().stream());
}

struct Result {
  Tensor y, log_sum_exp;
};

// Over keys [first_key, first_key + visible.keys) of `in`; `to` holds what to merge with.
void attend(const Case& c, const Visible& visible, std::int64_t first_key, const Inputs& in,
            const Result& to, bool merge) {
  const Device& device = to.y.device();
  on(device, in.q.dtype(), to.y.dtype(), [&]<class T, class Y>(auto tag) {
    const Tensor workspace(
        {static_cast<std::int64_t>(ops::kernels::attention_workspace<T>(tag, c.s))}, DType::u8,
        device);
    Qkv<const T> qkv = in.of<const T>(c);
    qkv.k.data += first_key * qkv.k.row, qkv.v.data += first_key * qkv.v.row;
    ops::kernels::attention<T, Y>(
        tag, c.s, visible, qkv,
        {heads<Y>(to.y, c.s.seq_len, c.s.head_dim), sums<acc_t<T>>(c.s, to.log_sum_exp), merge},
        workspace.raw());
    synchronize(device);
  });
}

Result attended(const Case& c, DType dtype, DType wide, const Device& device, bool merge) {
  const Result to{on_device(noise(c.queries(), wide, 4), device),
                  on_device(noise(c.sums(), acc_dtype(dtype), 5), device)};
  attend(c, c.visible, 0, Inputs(c, dtype, device), to, merge);
  return {on_host(to.y), on_host(to.log_sum_exp)};
}

double tolerance(DType dtype) {
  return dtype == DType::f64    ? 1e-13
         : dtype == DType::f32  ? 3e-6
         : dtype == DType::bf16 ? 1e-2
                                : 1.25e-3;
}

class AttentionOnCuda : public OnCuda, public testing::WithParamInterface<DType> {
 protected:
  // Calls body(case, the test's dtype, that or its accumulator's).
  template <class Body>
  void for_all(Body&& body) {
    const DType dtype = GetParam();
    for (const Case& c : kCases)
      for (const DType wide : std::set{dtype, acc_dtype(dtype)}) {
        SCOPED_TRACE(testing::Message() << "head_dim " << c.s.head_dim << ", keys "
                                        << c.visible.keys << ", results in " << name_of(wide));
        body(c, dtype, wide);
      }
  }
};
INSTANTIATE_TEST_SUITE_P(, AttentionOnCuda,
                         testing::Values(DType::f64, DType::f32, DType::bf16, DType::f16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST_P(AttentionOnCuda, IsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  for_all([&](const Case& c, DType dtype, DType wide) {
    for (const bool merge : {false, true}) {
      const Result want = attended(c, dtype, wide, Device(), merge);
      const Result got = attended(c, dtype, wide, device, merge);
      EXPECT_LT(distance(got.y, want.y), tolerance(dtype)) << "merge " << merge;
      EXPECT_LT(distance(got.log_sum_exp, want.log_sum_exp), tolerance(acc_dtype(dtype)))
          << "merge " << merge;
    }
  });
}

TEST_F(OnCuda, TwoBlocksOfKeysMergeToOne) {
  const Device device = Device::cuda(0, /*poison=*/true);
  const Case c{{2, 70, 4, 2, 16}, Visible::causal(75, 70), 145};
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Inputs in(c, dtype, device);
    const auto empty = [&] {
      return Result{Tensor(c.queries(), dtype, device), Tensor(c.sums(), dtype, device)};
    };
    const Result whole = empty(), parts = empty();
    attend(c, c.visible, 0, in, whole, false);
    attend(c, Visible::all(75), 0, in, parts, false);
    attend(c, Visible::causal(0, 70), 75, in, parts, true);
    EXPECT_LT(distance(on_host(parts.y), on_host(whole.y)), tolerance(dtype));
    EXPECT_LT(distance(on_host(parts.log_sum_exp), on_host(whole.log_sum_exp)), tolerance(dtype));
  }
}

struct Gradient {
  Tensor dq, dk, dv;
};

Gradient gradient(const Case& c, DType dtype, DType wide, const Device& device, bool add) {
  const Inputs in(c, dtype, device);
  const Result forward = attended(c, dtype, dtype, Device(), false);
  const Tensor y = on_device(forward.y, device),
               log_sum_exp = on_device(forward.log_sum_exp, device),
               dy = on_device(noise(c.queries(), dtype, 6), device);
  const Gradient to{on_device(noise(c.queries(), wide, 7), device),
                    on_device(noise(c.keys(), wide, 8), device),
                    on_device(noise(c.keys(), wide, 9), device)};
  on(device, dtype, wide, [&]<class T, class D>(auto tag) {
    const auto bytes = ops::kernels::attention_backward_workspace<T, D>(tag, c.s, c.kv_rows);
    const Tensor workspace({static_cast<std::int64_t>(bytes)}, DType::u8, device);
    const std::int64_t n = c.s.seq_len, d = c.s.head_dim;
    ops::kernels::attention_backward<T, D>(
        tag, c.s, c.visible,
        {in.of<const T>(c),
         heads<const T>(y, n, d),
         heads<const T>(dy, n, d),
         sums<const acc_t<T>>(c.s, log_sum_exp),
         {heads<D>(to.dq, n, d), heads<D>(to.dk, c.kv_rows, d), heads<D>(to.dv, c.kv_rows, d)},
         c.kv_rows,
         add,
         add},
        workspace.raw());
    synchronize(device);
  });
  return {on_host(to.dq), on_host(to.dk), on_host(to.dv)};
}

TEST_P(AttentionOnCuda, BackwardIsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  for_all([&](const Case& c, DType dtype, DType wide) {
    for (const bool add : {false, true}) {
      const Gradient want = gradient(c, dtype, wide, Device(), add);
      const Gradient got = gradient(c, dtype, wide, device, add);
      EXPECT_LT(distance(got.dq, want.dq), 2 * tolerance(dtype)) << "add " << add;
      EXPECT_LT(distance(got.dk, want.dk), 2 * tolerance(dtype)) << "add " << add;
      EXPECT_LT(distance(got.dv, want.dv), 2 * tolerance(dtype)) << "add " << add;
    }
  });
}

struct Cached {
  Tensor y;
  KvCache cache;
};

Cached cached(const AttentionShape& s, std::int64_t position, DType dtype, const Device& device) {
  const Shape room{s.batch, position + s.seq_len + 2, s.kv_heads * s.head_dim};
  const KvCache cache{on_device(noise(room, dtype, 1), device),
                      on_device(noise(room, dtype, 2), device)};
  const Shape shape{s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim};
  const Tensor y = cached_attention(on_device(noise(shape, dtype, 3), device), cache, s, position);
  return {on_host(y), {on_host(cache.k), on_host(cache.v)}};
}

TEST_P(AttentionOnCuda, ThroughACacheIsThatOfTheCpu) {
  const Device device = Device::cuda(0, /*poison=*/true);
  const std::pair<AttentionShape, std::int64_t> cases[] = {
      {{2, 1, 2, 1, 1}, 0},    {{1, 1, 4, 2, 3}, 40},   {{2, 1, 2, 2, 64}, 1100},
      {{1, 1, 2, 1, 80}, 100}, {{1, 1, 1, 1, 200}, 70}, {{2, 3, 4, 2, 16}, 5},
      {{1, 1, 2, 1, 8}, 127},  {{1, 1, 2, 1, 8}, 128},  {{2, 1, 1, 1, 200}, 300}};
  const DType dtype = GetParam();
  for (const auto& [s, position] : cases) {
    SCOPED_TRACE(testing::Message() << "head_dim " << s.head_dim << ", position " << position);
    const Cached want = cached(s, position, dtype, Device());
    const Cached got = cached(s, position, dtype, device);
    EXPECT_LT(distance(got.y, want.y), tolerance(dtype));
    EXPECT_EQ(doubles(got.cache.k), doubles(want.cache.k));
    EXPECT_EQ(doubles(got.cache.v), doubles(want.cache.v));
  }
}

// Keys are cut into slices for blocks; where, must not depend on the batch.
TEST_P(AttentionOnCuda, ThroughACacheGivesASequenceTheSameBitsInEveryBatch) {
  const Device device = Device::cuda(0, /*poison=*/true);
  const AttentionShape one{1, 1, 2, 1, 16};
  const AttentionShape many{40, 1, 2, 1, 16};
  const auto first_row = [&](const AttentionShape& s) {
    return doubles(cached(s, 400, GetParam(), device).y.slice(0, {1, s.heads * s.head_dim}));
  };
  EXPECT_EQ(first_row(many), first_row(one));
}

}  // namespace
}  // namespace fusor
