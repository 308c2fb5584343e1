#include <algorithm>

#include "ops/attention.h"
#include "runtime/copy.h"
#include "tests/ladder_cases.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;
using Lengths = std::vector<std::int32_t>;

Case attention_case(const char* name, const AttentionShape& s, const Lengths& lengths = {}) {
  return {name,
          {activation({s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim})},
          [=](const Vars& v) { return attention(v[0], s, lengths_on(v[0].device(), lengths)); }};
}

Case cross_case(const char* name, const AttentionShape& s, const Lengths& lengths = {}) {
  return {name,
          {activation({s.batch * s.seq_len, s.heads * s.head_dim}),
           activation({s.batch * s.kv_seq_len, 2 * s.kv_heads * s.head_dim})},
          [=](const Vars& v) {
            return cross_attention(v[0], v[1], s, lengths_on(v[0].device(), lengths));
          }};
}

}  // namespace

Tensor lengths_on(const Device& device, const std::vector<std::int32_t>& lengths) {
  if (lengths.empty()) return {};
  const Shape shape{static_cast<std::int64_t>(lengths.size())};
  const Tensor on_host(shape, DType::i32), t(shape, DType::i32, device);
  std::ranges::copy(lengths, on_host.host<std::int32_t>().begin());
  copy(on_host, t);
  synchronize(device);
  return t;
}

// batch, seq_len, heads, kv_heads, head_dim, causal, kv_seq_len
std::vector<Case> attention_cases() {
  return {
      attention_case("attention", {2, 5, 2, 2, 3}),
      attention_case("attention_one_position", {2, 1, 2, 1, 4}),
      attention_case("attention_grouped_heads", {2, 21, 6, 2, 5}),
      attention_case("attention_two_tiles", {1, 70, 2, 1, 8}),
      attention_case("attention_whole_tiles", {1, 192, 2, 2, 16}),
      attention_case("attention_padded", {4, 21, 2, 1, 5}, {0, 21, 1, 13}),
      attention_case("attention_both_ways", {2, 21, 6, 2, 5, false}),
      attention_case("attention_both_ways_one_position", {2, 1, 2, 1, 4, false}),
      attention_case("attention_both_ways_two_tiles", {1, 70, 2, 1, 8, false}),
      attention_case("attention_both_ways_padded", {4, 70, 2, 1, 8, false}, {66, 0, 70, 1}),
      attention_case("attention_without_a_sequence", {2, 5, 2, 2, 3, false}, {0, 0}),
      cross_case("cross_attention", {2, 5, 4, 2, 3, false, 9}),
      cross_case("cross_attention_to_two_keys", {2, 67, 2, 2, 8, false, 2}),
      cross_case("cross_attention_tiles", {1, 70, 2, 1, 16, false, 130}),
      cross_case("cross_attention_padded", {4, 9, 2, 1, 5, false, 67}, {67, 0, 65, 3}),
  };
}

}  // namespace fusor::ladder
