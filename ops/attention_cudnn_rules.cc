#include "ops/attention_cudnn_rules.h"

#include "runtime/library_faults.h"

namespace fusor::ops {
namespace {

using kernels::Heads;

constexpr std::int64_t kMostScores = std::int64_t{2} << 30;  // bytes a part may store

std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }

// Bytes of the gradients of the scores of one sequence and one key head.
std::int64_t scores_of_head(const AttentionShape& s) {
  return s.heads / s.kv_heads * round_up(s.seq_len, 64) * round_up(keys_of(s), 128) * 2;
}

// The largest divisor of n of which `each` fits; at least 1.
std::int64_t most(std::int64_t n, std::int64_t each) {
  for (std::int64_t parts = 1; parts < n; ++parts)
    if (n % parts == 0 && n / parts * each <= kMostScores) return n / parts;
  return 1;
}

// Whether the vectors lie as in a tensor [batch * positions, columns], and may be loaded 16 bytes
// at once.
template <class T>
bool lies_in(const AttentionShape& s, const Heads<T>& x, std::int64_t positions,
             std::int64_t columns) {
  return x.row == columns && x.batch == positions * columns && x.head == s.head_dim &&
         reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
}
template <class T>
bool lies_in_qkv(const AttentionShape& s, const kernels::Qkv<T>& x) {
  const std::int64_t keys = keys_of(s), columns = kv_columns(s);
  return lies_in(s, x.q, s.seq_len, q_columns(s)) && lies_in(s, x.k, keys, columns) &&
         lies_in(s, x.v, keys, columns);
}
template <class T>
bool lies_in_y(const AttentionShape& s, const Heads<T>& x) {
  return lies_in(s, x, s.seq_len, s.heads * s.head_dim);
}
// cuDNN before 9.26 reads it in no other order (cudnn-frontend, CompositeSDPABackwardNode).
template <class A>
bool is_dense(const AttentionShape& s, const Heads<A>& log_sum_exp) {
  return log_sum_exp.row == 1 && log_sum_exp.head == s.seq_len &&
         log_sum_exp.batch == s.heads * s.seq_len;
}

std::string seen(const AttentionShape& s, const Visible& visible) {
  if (visible.is_ragged())
    return "cuDNN is asked for whole sequences, not for those that end early";
  const std::int64_t first = s.causal ? 0 : visible.keys - 1;
  if (visible.first == first && visible.keys == keys_of(s)) return "";
  return "cuDNN is asked for attention of whole sequences, not of " + std::to_string(s.seq_len) +
         " queries from position " + std::to_string(visible.first) + " on to " +
         std::to_string(visible.keys) + " keys";
}

constexpr char kOwnDropout[] =
    "cuDNN draws dropout by its own counters, which are not those of other devices and layouts";
constexpr char kOtherLayout[] = "cuDNN is asked for dense tensors of aligned rows only";

std::string fault_in(const CudnnSetup& on, const AttentionShape& s, AttentionPass pass) {
  std::string fault;
  if (pass == AttentionPass::forward) return fault;
  if (s.seq_len % 128 != 0 || keys_of(s) % 128 != 0)
    fault = fault_of("cuDNN", on.version, "attention of uneven lengths");
  if (fault.empty() && on.capability >= 100)
    fault = fault_of("cuDNN", on.version, "deterministic attention on Blackwell");
  return fault;
}

}  // namespace

std::string cudnn_refuses(const CudnnSetup& on) {
  constexpr int kOldest = 90700;  // the first for all GPUs that Fusor is built for
  if (on.version < kOldest) return "cuDNN " + std::to_string(on.version) + " is older than 9.7";
  return fault_of("cuDNN", on.version, "attention");
}

std::string cudnn_refuses(const CudnnSetup& on, const AttentionShape& s, AttentionPass pass) {
  if (std::string reason = cudnn_refuses(on); !reason.empty()) return reason;
  if (std::string fault = fault_in(on, s, pass); !fault.empty()) return fault;
  if (s.seq_len == 1 || keys_of(s) == 1)
    return "cuDNN's attention is for sequences, not for one position";
  if (s.head_dim % 8 != 0 || s.head_dim > 256)
    return "cuDNN's attention takes a head_dim that is a multiple of 8 and at most 256, not " +
           std::to_string(s.head_dim);
  if (pass == AttentionPass::forward) return "";
  // TransformerEngine, pull request 2798.
  if (on.capability >= 110)
    return "cuDNN's attention backward does not give the same bits each run on this GPU";
  if (on.capability < 100 && scores_of_head(s) > kMostScores)
    return "cuDNN's attention backward would store the scores of a head of " +
           std::to_string(s.seq_len) + " positions";
  return "";
}

template <class T>
std::string cudnn_refuses(const AttentionShape& s, const Visible& visible,
                          const kernels::Qkv<const T>& in,
                          const kernels::AttentionResult<T, T>& to) {
  if (std::string reason = seen(s, visible); !reason.empty()) return reason;
  if (to.drops.p > 0) return kOwnDropout;
  if (to.merge) return "cuDNN does not merge attention to other keys";
  const bool dense = !to.log_sum_exp.data || is_dense(s, to.log_sum_exp);
  return dense && lies_in_qkv(s, in) && lies_in_y(s, to.y) ? "" : kOtherLayout;
}

template <class T>
std::string cudnn_refuses(const AttentionShape& s, const Visible& visible,
                          const kernels::AttentionGradient<T, T>& g) {
  if (std::string reason = seen(s, visible); !reason.empty()) return reason;
  if (g.drops.p > 0) return kOwnDropout;
  if (g.add_q || g.add_kv) return "cuDNN does not add to gradients";
  const bool dense = is_dense(s, g.log_sum_exp) && g.kv_rows == keys_of(s);
  return dense && lies_in_qkv(s, g.qkv) && lies_in_qkv(s, g.dqkv) && lies_in_y(s, g.y) &&
                 lies_in_y(s, g.dy)
             ? ""
             : kOtherLayout;
}

#define FUSOR_CUDNN_REFUSES(T)                                               \
  template std::string cudnn_refuses(const AttentionShape&, const Visible&,  \
                                     const kernels::Qkv<const T>&,           \
                                     const kernels::AttentionResult<T, T>&); \
  template std::string cudnn_refuses(const AttentionShape&, const Visible&,  \
                                     const kernels::AttentionGradient<T, T>&);
FUSOR_CUDNN_REFUSES(bf16)
FUSOR_CUDNN_REFUSES(f16)
#undef FUSOR_CUDNN_REFUSES

AttentionPart cudnn_part(const CudnnSetup& on, const AttentionShape& s, AttentionPass pass) {
  if (pass == AttentionPass::forward || on.capability >= 100) return {s.batch, s.kv_heads};
  const std::int64_t head = scores_of_head(s), sequence = s.kv_heads * head;
  if (sequence <= kMostScores) return {most(s.batch, sequence), s.kv_heads};
  return {1, most(s.kv_heads, head)};
}

std::size_t estimated_cudnn_workspace(const AttentionShape& s, AttentionPass pass) {
  constexpr CudnnSetup kHopper{91900, 90};
  constexpr std::int64_t kOwn = 256;
  if (!cudnn_refuses(kHopper, s, pass).empty()) return 0;
  const AttentionPart part = cudnn_part(kHopper, s, pass);
  const std::int64_t group = s.heads / s.kv_heads;
  const std::int64_t heads = part.sequences * part.kv_heads * group;
  const std::int64_t row_sums = heads * s.seq_len * 4;
  if (pass == AttentionPass::forward) return static_cast<std::size_t>(kOwn + row_sums);
  // With grouped heads, dk and dv of each query head before they are added.
  const std::int64_t full_heads = group > 1 ? 2 * heads * keys_of(s) * s.head_dim * 2 : 0;
  return static_cast<std::size_t>(part.sequences * part.kv_heads * scores_of_head(s) + full_heads +
                                  row_sums + kOwn);
}

}  // namespace fusor::ops
