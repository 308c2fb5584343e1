#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "ops/add_norm.h"
#include "ops/attention.h"
#include "ops/columns.h"
#include "ops/decode_attention.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/layer_norm.h"
#include "ops/mean_pool.h"
#include "ops/pick_rows.h"
#include "ops/rms_norm.h"
#include "ops/rotary.h"
#include "ops/sum_rows.h"
#include "ops/swiglu.h"
#include "tests/near.h"

namespace fusor {
namespace {

Var var(const Shape& shape, DType dtype = DType::f32) { return Var::input(Tensor(shape, dtype)); }

Var ids(const std::vector<std::int32_t>& values) {
  const Tensor t({static_cast<std::int64_t>(values.size())}, DType::i32);
  std::ranges::copy(values, t.host<std::int32_t>().begin());
  return Var::input(t);
}

// A wrong call is one row: what is called, and what the message has to name.
struct WrongCall {
  std::function<void()> call;
  const char* names;
};

TEST(OpErrors, NameTheOperatorAndWhatIsWrong) {
  const WrongCall wrong[] = {
      {[] {
         rms_norm(var({2, 3}), var({4}), 1e-5);
       },
       "rms_norm: x [2, 3] f32 but gain [4] f32"},
      {[] {
         rms_norm(var({2, 3}), var({3}, DType::bf16), 1e-5);
       },
       "gain [3] bf16"},
      {[] {
         layer_norm(var({2, 3}), var({3}), var({2}), 1e-5);
       },
       "gain or bias [2] f32"},
      {[] { layer_norm(var({6}), var({6}), var({6}), 1e-5); }, "layer_norm: x [6]"},
      {[] {
         embedding(var({5, 2}), ids({4, 5}));
       },
       "id 5 is not in a table of 5 rows"},
      {[] {
         embedding(var({5, 2}), ids({-1}));
       },
       "id -1 is not in a table of 5 rows"},
      {[] {
         mean_pool(var({7, 2}), 2);
       },
       "mean_pool: x [7, 2] in 2 sequences"},
      {[] {
         mean_pool(var({6, 2}), 2, ids({1}).value());
       },
       "lengths [1] i32 of 2 sequences"},
      {[] {
         pick_rows(var({6, 2}), ids({0, 3}).value().view({2, 1}));
       },
       "pick_rows: position 3 is not in a sequence of 3"},
      {[] {
         pick_rows(var({6, 2}), ids({0, 3}).value());
       },
       "positions [2] i32"},
      {[] {
         first_rows(var({6, 2}), 4);
       },
       "first_rows: x [6, 2] in 4 sequences"},
      {[] {
         embedding(var({5, 2}), var({3}));
       },
       "embedding: table [5, 2] and ids [3] f32"},
      {[] {
         add_positions(var({6, 2}), var({8, 3}), RowMap::whole(0, 3));
       },
       "x [6, 2] f32, table [8, 3] f32"},
      {[] {
         add_positions(var({6, 2}), var({8, 2}), RowMap::positions(6, 3));
       },
       "positions up to 9 of a table of 8"},
      {[] {
         swiglu(var({2, 3}));
       },
       "swiglu: x [2, 3]"},
      {[] {
         dropout(var({2, 3}), 1, {}, {});
       },
       "p = 1 is not in [0, 1)"},
      {[] {
         dropout_add(var({2, 3}), var({3, 2}), 0.5, {{}, step_number(0)}, {});
       },
       "residual [2, 3] f32 but x [3, 2]"},
      {[] {
         add_rms_norm(var({2, 3}), var({3, 2}), 0, {}, {}, var({2}), 1e-5);
       },
       "residual [2, 3] f32 but x [3, 2]"},
      {[] {
         add_layer_norm(var({2, 3}), var({2, 3}), 0, {}, {}, var({3}), var({2}), 1e-5);
       },
       "layer_norm: x [2, 3] f32 but gain or bias [2] f32"},
      {[] {
         ops::sum_rows(Tensor({3}, DType::f64), Tensor({2, 3}, DType::f32), false);
       },
       "sum_rows: to f64 but x f32"},
      {[] {
         const Tensor x({2, 5}, DType::f32);
         ops::copy_columns({x, 3, 3}, {x, 0, 3}, false);
       },
       "columns 3 to 6 of [2, 5]"},
      {[] {
         ops::copy_columns({Tensor({2, 5}, DType::bf16), 0, 5}, {Tensor({2, 5}, DType::f32), 0, 5},
                           false);
       },
       "copy_columns: bf16 to f32"},
      // batch, seq_len, heads, kv_heads, head_dim
      {[] {
         attention(var({6, 24}), {2, 3, 2, 2, 5});
       },
       "attention: qkv [6, 24] but the heads make [6, 30]"},
      {[] {
         attention(var({6, 45}), {2, 3, 3, 2, 5});
       },
       "kv_heads 2 does not divide heads 3"},
      {[] {
         attention(var({0, 30}), {2, 0, 2, 2, 5});
       },
       "seq_len 0"},
      {[] {
         rotary(var({6, 30}), {2, 3, 2, 2, 5}, 10000, RowMap::whole(0, 3));
       },
       "head_dim 5 is odd"},
      {[] {
         rotary(var({6, 30}), {2, 3, 2, 2, 4}, 10000, RowMap::whole(0, 3));
       },
       "rotary: qkv [6, 30] but the heads make [6, 24]"},
      {[] {
         const Tensor cache({1, 4, 8}, DType::f32);
         cached_attention(Tensor({2, 24}, DType::f32), {cache, cache}, {1, 2, 2, 2, 4}, 3);
       },
       "cached_attention: 5 tokens in a cache of 4"},
      {[] {
         const Tensor k({1, 4, 8}, DType::f32), v({1, 4, 8}, DType::bf16);
         cached_attention(Tensor({2, 24}, DType::f32), {k, v}, {1, 2, 2, 2, 4}, 0);
       },
       "[1, 4, 8] bf16 for qkv [2, 24] f32"},
  };
  for (const auto& [call, names] : wrong)
    EXPECT_THAT(call, testing::ThrowsMessage<Error>(testing::HasSubstr(names)));
}

}  // namespace
}  // namespace fusor
