#include <algorithm>

#include "ops/attention.h"
#include "runtime/copy.h"
#include "tests/ladder_cases.h"
#include "tests/near.h"

namespace fusor::ladder {
namespace {

using Vars = std::vector<Var>;
using Lengths = std::vector<std::int32_t>;

AttentionDropout dropout_of(double p, const Device& device) {
  return {.p = p, .key = {{5}, step_number(2, device)}, .first_sample = 7, .first_head = 2};
}

Shape qkv_of(const AttentionShape& s) {
  return {s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim};
}

Case attention_case(const char* name, const AttentionShape& s, const Lengths& lengths = {},
                    double p = 0) {
  return {name, {activation(qkv_of(s))}, [=](const Vars& v) {
            const Device& device = v[0].device();
            return attention(v[0], s, lengths_on(device, lengths), dropout_of(p, device));
          }};
}

// offsets: those of each row of the batch in turn
Case packed_case(const char* name, const AttentionShape& s, const Lengths& offsets, double p = 0) {
  return {name, {activation(qkv_of(s))}, [=](const Vars& v) {
            const Device& device = v[0].device();
            const auto in_row = static_cast<std::int64_t>(offsets.size()) / s.batch;
            return packed_attention(v[0], s, lengths_on(device, offsets).view({s.batch, in_row}),
                                    dropout_of(p, device));
          }};
}

Case cross_case(const char* name, const AttentionShape& s, const Lengths& lengths = {},
                double p = 0) {
  return {name,
          {activation({s.batch * s.seq_len, s.heads * s.head_dim}),
           activation({s.batch * s.kv_seq_len, 2 * s.kv_heads * s.head_dim})},
          [=](const Vars& v) {
            const Device& device = v[0].device();
            return cross_attention(v[0], v[1], s, lengths_on(device, lengths),
                                   dropout_of(p, device));
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
      attention_case("attention_dropout", {2, 21, 6, 2, 5}, {}, 0.3),
      attention_case("attention_dropout_tiles", {1, 134, 2, 1, 8, false}, {}, 0.3),
      attention_case("attention_dropout_padded", {3, 70, 2, 2, 8, false}, {66, 0, 70}, 0.3),
      packed_case("attention_packed", {2, 21, 4, 2, 5}, {0, 5, 6, 6, 17, 0, 21, 21, 21, 21}),
      packed_case("attention_packed_tiles", {1, 200, 2, 1, 8, false}, {0, 1, 66, 130, 130, 197}),
      packed_case("attention_packed_dropout", {1, 150, 2, 1, 8}, {0, 0, 70, 150}, 0.3),
      packed_case("attention_packed_nothing", {1, 9, 2, 1, 3}, {0, 0}),
      cross_case("cross_attention", {2, 5, 4, 2, 3, false, 9}),
      cross_case("cross_attention_to_two_keys", {2, 67, 2, 2, 8, false, 2}),
      cross_case("cross_attention_tiles", {1, 70, 2, 1, 16, false, 130}),
      cross_case("cross_attention_padded", {4, 9, 2, 1, 5, false, 67}, {67, 0, 65, 3}),
      cross_case("cross_attention_dropout", {2, 9, 2, 1, 5, false, 67}, {67, 5}, 0.3),
  };
}

}  // namespace fusor::ladder
